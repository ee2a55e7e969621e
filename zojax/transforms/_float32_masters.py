"""Float32 copies of narrow params, to which updates are added."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._dtypes import wide
from zojax._typing import Params
from zojax.transforms._round_stochastically import init_widened


class KeepFloat32MastersState(NamedTuple):
    """State of `keep_float32_masters`.

    Attributes:
      masters: a tree like params, float32 or wider.
      inner_state: of the transformation inside.
    """

    masters: Params
    inner_state: Any


def keep_float32_masters(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """Adds updates to float32 copies of the params, which params are the roundings of.

        m ← m + u,    x ← cast(m)                                                             (1)

    Nothing is lost, at the price of 4 bytes a weight in the state, three times the memory of
    bfloat16 params alone; `zojax.round_stochastically` stores nothing. Losses are those of x, and
    so is weight decay. Moments that `inner` keeps of narrow params are float32.

    Args:
      inner: an optimizer.

    Source: Micikevicius et al., "Mixed precision training", ICLR 2018, arXiv:1710.03740, Section
    3.1.
    """
    inner = optax.with_extra_args_support(inner)

    def init_fn(params: Params) -> KeepFloat32MastersState:
        masters = jax.tree.map(lambda leaf: jnp.array(leaf, wide(leaf.dtype)), params)
        return KeepFloat32MastersState(masters, init_widened(inner, params))

    def update_fn(
        updates: optax.Updates,
        state: KeepFloat32MastersState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, KeepFloat32MastersState]:
        _checks.given("keep_float32_masters", params=params)
        updates, inner_state = inner.update(
            updates, state.inner_state, params, wide_updates=True, **extra_args
        )
        masters = optax.apply_updates(state.masters, updates)
        changes = jax.tree.map(_change, params, masters)
        return changes, KeepFloat32MastersState(masters, inner_state)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _change(x: jax.Array, master: jax.Array) -> jax.Array:
    """What `optax.apply_updates` turns x into the rounded master with; -0.0 where that is x."""
    old, new = x.astype(master.dtype), master.astype(x.dtype).astype(master.dtype)
    return jnp.where(new == old, -0.0, new - old)
