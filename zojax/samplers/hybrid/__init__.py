"""Random directions, and the coordinates that they show to matter."""

from zojax.samplers.hybrid._hybrid import HybridState as HybridState
from zojax.samplers.hybrid._hybrid import hybrid as hybrid
