"""The length of steps from a moving average of squared slopes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._typing import Params


class ScaleBySlopeRmsState(NamedTuple):
    """State of `scale_by_slope_rms`.

    Attributes:
      mean_square: v, shape (), float32.
      num_updates: t, shape (), int32.
    """

    mean_square: jax.Array
    num_updates: jax.Array


def scale_by_slope_rms(
    decay: ArrayLike = 0.99, eps: ArrayLike = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """Divides an estimate by the root of an average of the squares of its slopes.

        s_t = Σ_k c_{t,k},    v_t = β v_{t-1} + (1 - β) s_t²,    v_0 = 0                       (1)
        u_t = ĝ_t / (√(v_t / (1 - β^t)) + eps)                                               (2)

    with the coefficients c of the estimate, which for differences are slopes over their number: s
    is their mean. Belongs behind an estimate in `zojax.chain`, which tells the `coefficients`.

    A step without a finite estimate counts for nothing. Stores two numbers. No loss evaluation.

    Args:
      decay: β, at least 0 and below 1.
      eps: at least 0. Where the denominator is 0 so is u.

    Raises:
      ValueError: if a number is out of range; in `update` if nobody tells the coefficients.

    Source: arXiv:2605.03869 (MEAZO).
    """
    _checks.below_one(decay=decay)
    _checks.not_negative(eps=eps)

    def init_fn(params: Params) -> ScaleBySlopeRmsState:
        del params
        return ScaleBySlopeRmsState(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates,
        state: ScaleBySlopeRmsState,
        params: Params | None = None,
        *,
        coefficients: jax.Array | None = None,
        is_finite: jax.Array | bool = True,
        **extra_args: Any,
    ) -> tuple[optax.Updates, ScaleBySlopeRmsState]:
        del params, extra_args
        if coefficients is None:
            raise ValueError(
                "scale_by_slope_rms needs the coefficients of the estimate: put it behind one in "
                "zojax.chain, which tells them"
            )
        square = jnp.sum(coefficients) ** 2
        mean_square = decay * state.mean_square + (1 - decay) * square
        num_updates = optax.safe_increment(state.num_updates)
        root = jnp.sqrt(mean_square / (1 - decay**num_updates)) + eps
        scale = jnp.where(root > 0, 1 / root, 0.0)
        new = ScaleBySlopeRmsState(mean_square.astype(jnp.float32), num_updates)
        new = jax.tree.map(lambda a, b: jnp.where(is_finite, a, b), new, state)
        return jax.tree.map(lambda u: (scale * u).astype(u.dtype), updates), new

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)
