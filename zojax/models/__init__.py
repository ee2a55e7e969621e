"""Flax NNX models that read and write Hugging Face files.

Every model splits into `graphdef, params = nnx.split(model, nnx.Param)` and is a pure function of
`params`; its layers are stacked on a leading axis and scanned.
"""

from zojax.models._pretrained import families, from_pretrained
from zojax.models.opt import OPT, OPTConfig

__all__ = ["OPT", "OPTConfig", "families", "from_pretrained"]
