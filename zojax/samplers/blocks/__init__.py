"""Directions on one block of params at a time."""

from zojax.samplers.blocks._atoms import Atoms as Atoms
from zojax.samplers.blocks._atoms import atom_labels as atom_labels
from zojax.samplers.blocks._atoms import flax_factors as flax_factors
from zojax.samplers.blocks._blocks import blocks as blocks
from zojax.samplers.blocks._labels import Labels as Labels
from zojax.samplers.blocks._labels import Slices as Slices
from zojax.samplers.blocks._labels import layer_blocks as layer_blocks
