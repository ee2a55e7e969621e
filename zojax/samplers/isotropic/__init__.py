"""Directions with E[z zᵀ] = I: gaussian, signs, on the sphere, one coordinate."""

from zojax.samplers.isotropic._coordinate import coordinate as coordinate
from zojax.samplers.isotropic._dense import gaussian as gaussian
from zojax.samplers.isotropic._dense import rademacher as rademacher
from zojax.samplers.isotropic._flipped import flipped as flipped
from zojax.samplers.isotropic._sphere import sphere as sphere
