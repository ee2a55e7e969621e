"""Directions that learn where the loss curves."""

from zojax.samplers.anisotropic._anisotropic import AnisotropicState as AnisotropicState
from zojax.samplers.anisotropic._anisotropic import anisotropic as anisotropic
from zojax.samplers.anisotropic._curvature_means import Means as Means
from zojax.samplers.anisotropic._diagonal import DiagonalState as DiagonalState
from zojax.samplers.anisotropic._diagonal import diagonal as diagonal
