"""Published methods, each an assembly of a sampler, an estimator and optax links."""

from zojax.methods._mezo import mezo as mezo

__all__ = ["mezo"]
