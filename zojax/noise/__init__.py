"""From keys to numbers: which key a leaf has, its random words, and what a law makes of them."""

from zojax.noise import _keys as keys
from zojax.noise._arrays import draw_arrays as draw_arrays
from zojax.noise._generator import has_columns as has_columns
from zojax.noise._keys import Role as Role
from zojax.noise._laws import GAUSSIAN as GAUSSIAN
from zojax.noise._laws import RADEMACHER as RADEMACHER
from zojax.noise._laws import Law as Law

__all__ = ["GAUSSIAN", "RADEMACHER", "Law", "Role", "draw_arrays", "has_columns", "keys"]
