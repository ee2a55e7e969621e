"""Directions that lean towards where the params went."""

from zojax.samplers.aligned._cone import ConeState as ConeState
from zojax.samplers.aligned._cone import cone as cone
