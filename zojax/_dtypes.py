"""The dtypes in which perturbations, sums and updates are formed."""

from typing import Any

import jax.numpy as jnp


def wide(dtype: Any) -> Any:
    """The dtype in which perturbations and updates of a leaf of this dtype are formed."""
    return jnp.promote_types(dtype, jnp.float32)
