"""Shared type aliases."""

from collections.abc import Callable
from typing import Any

import chex
import jax

Params = chex.ArrayTree
"""A tree of floating-point arrays."""

ValueFn = Callable[..., Any]
"""A loss: `value_fn(params, ...)` of shape (), or `(value, aux)` where `has_aux` says so."""

Key = jax.Array
"""A typed key, as `jax.random.key` makes; shape () unless said otherwise."""
