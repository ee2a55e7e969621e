"""From keys to numbers: which key a leaf has, its random words, and what a law makes of them."""

from zojax.noise import _keys as keys
from zojax.noise._arrays import draw_arrays as draw_arrays
from zojax.noise._generator import has_columns as has_columns
from zojax.noise._keys import Role as Role
from zojax.noise._laws import RADEMACHER as RADEMACHER
from zojax.noise._laws import UNIFORM_16 as UNIFORM_16
from zojax.noise._laws import Law as Law
from zojax.noise._laws import gaussian_law as gaussian_law

__all__ = [
    "RADEMACHER",
    "UNIFORM_16",
    "Law",
    "Role",
    "draw_arrays",
    "gaussian_law",
    "has_columns",
    "keys",
]
