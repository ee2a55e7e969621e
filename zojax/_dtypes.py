"""The dtypes in which perturbations, sums and updates are formed."""

from typing import Any

import jax
import jax.numpy as jnp


def wide(dtype: Any) -> Any:
    """The dtype in which perturbations and updates of a leaf of this dtype are formed."""
    return jnp.promote_types(dtype, jnp.float32)


def widened(params: Any) -> Any:
    """Every leaf cast to the dtype in which its updates are formed."""
    return jax.tree.map(lambda leaf: leaf.astype(wide(leaf.dtype)), params)
