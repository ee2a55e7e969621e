"""Directions that leave weights out one by one."""

from zojax.samplers.sparse._small_weights import SmallWeightsState as SmallWeightsState
from zojax.samplers.sparse._small_weights import small_weights as small_weights
from zojax.samplers.sparse._thresholds import magnitude_thresholds as magnitude_thresholds
