"""Directions that change how far matrices are from where they began."""

from zojax.samplers.radial._radial import Chosen as Chosen
from zojax.samplers.radial._radial import RadialState as RadialState
from zojax.samplers.radial._radial import is_projection as is_projection
from zojax.samplers.radial._radial import keys_and_values as keys_and_values
from zojax.samplers.radial._radial import radial as radial
