"""Decoupled weight decay, where it is wanted."""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks


def weight_decay_links(
    weight_decay: ArrayLike, mask: Any = None
) -> tuple[optax.GradientTransformation, ...]:
    """The links that add λ x to an update u, before the learning rate η scales it.

        x ← x - η (u + λ x)

    No link for a λ of 0, so that nothing has to read the params.

    Args:
      weight_decay: λ, at least 0; may be traced.
      mask: of the leaves that it is for, as `optax.add_decayed_weights` takes it; None for all.

    Raises:
      ValueError: if λ is no such number.
    """
    _checks.not_negative(weight_decay=weight_decay)
    if isinstance(weight_decay, (int, float)) and weight_decay == 0:
        return ()
    return (optax.add_decayed_weights(weight_decay, mask),)
