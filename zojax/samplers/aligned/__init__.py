"""Directions that lean towards where the params went."""

from zojax.samplers.aligned._annealed import AnnealedState as AnnealedState
from zojax.samplers.aligned._annealed import annealed as annealed
from zojax.samplers.aligned._cone import ConeState as ConeState
from zojax.samplers.aligned._cone import cone as cone
