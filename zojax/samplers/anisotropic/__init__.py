"""Directions that learn where the loss curves."""

from zojax.samplers.anisotropic._anisotropic import AnisotropicState as AnisotropicState
from zojax.samplers.anisotropic._anisotropic import anisotropic as anisotropic
