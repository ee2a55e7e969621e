"""Directions that are chosen by what the loss is along candidates."""

from zojax.samplers.selected._selected import SelectedState as SelectedState
from zojax.samplers.selected._selected import selected as selected
