"""The moments of ZO-AdaMM."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import wide
from zojax._typing import Params

# v_0 and v̂_0 of the official code.
_PUBLISHED_START = 1e-7


class ScaleByZoAdammState(NamedTuple):
    """State of `scale_by_zo_adamm`.

    Attributes:
      mu: m, a tree shaped like params, float32 or wider.
      nu: v, like m.
      nu_max: v̂, like m; () without amsgrad.
    """

    mu: Params
    nu: Params
    nu_max: Params | tuple[()]


def scale_by_zo_adamm(
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.99,
    eps: ArrayLike = 1e-8,
    amsgrad: bool = True,  # noqa: FBT001, FBT002  (as in optax, flags of a link may be positional)
    *,
    initial_second_moment: ArrayLike | None = None,
) -> optax.GradientTransformation:
    """Divides the first moment by the root of the largest second moment so far.

        m_t = b1 m_{t-1} + (1 - b1) ĝ_t                                                      (1)
        v_t = b2 v_{t-1} + (1 - b2) ĝ_t²                                                     (2)
        v̂_t = max(v̂_{t-1}, v_t)          (amsgrad; else v̂_t = v_t)                           (3)
        u_t = m_t / (√v̂_t + eps)                                                             (4)

    elementwise, with m_0 = 0 and v_0 = v̂_0 = `initial_second_moment`. No bias correction, which is
    all that sets it apart from AMSGrad and, without the maximum, from Adam.

    Two methods are called ZO-AdaMM. With amsgrad it is the published one, whose eps is 0: there
    v_0 = 1e-7 alone keeps 0/0 away. Without, and with eps = 1e-8 and v_0 = 0, it is the baseline
    of the papers on R-AdaZO and ZoAR. Where the denominator is 0 so is u.

    Stores two trees like params, three with amsgrad. No loss evaluation.

    Args:
      b1: decay of the first moment, at least 0 and below 1.
      b2: decay of the second moment, at least 0 and below 1.
      eps: added outside the root, at least 0.
      amsgrad: whether v̂ is the maximum.
      initial_second_moment: v_0, at least 0; None for 1e-7 with amsgrad and 0 without.

    Raises:
      ValueError: if a number is out of range.

    Source: Chen, Liu, Xu, Li, Lin, Hong, Cox, "ZO-AdaMM: zeroth-order adaptive momentum method for
    black-box optimization", NeurIPS 2019, arXiv:1910.06513; v_0 from the official code.
    """
    _checks.flag(amsgrad=amsgrad)
    _checks.below_one(b1=b1, b2=b2)
    _checks.not_negative(eps=eps)
    if initial_second_moment is None:
        initial_second_moment = _PUBLISHED_START if amsgrad else 0.0
    _checks.not_negative(initial_second_moment=initial_second_moment)

    def init_fn(params: Params) -> ScaleByZoAdammState:
        def full(value: ArrayLike) -> Params:
            return jax.tree.map(lambda leaf: jnp.full_like(leaf, value, wide(leaf.dtype)), params)

        start = initial_second_moment
        return ScaleByZoAdammState(full(0.0), full(start), full(start) if amsgrad else ())

    def update_fn(
        updates: optax.Updates, state: ScaleByZoAdammState, params: Params | None = None
    ) -> tuple[optax.Updates, ScaleByZoAdammState]:
        del params
        estimate = optax.tree.cast_like(updates, state.mu)
        mu = optax.tree.update_moment(estimate, state.mu, b1, 1)  # (1)
        nu = optax.tree.update_moment(estimate, state.nu, b2, 2)  # (2)
        nu_max = jax.tree.map(jnp.maximum, state.nu_max, nu) if amsgrad else ()  # (3)
        new_state = ScaleByZoAdammState(mu, nu, nu_max)
        return optax.tree.cast_like(zo_adamm_update(new_state, eps, amsgrad), updates), new_state

    return optax.GradientTransformation(init_fn, update_fn)


def zo_adamm_update(state: ScaleByZoAdammState, eps: ArrayLike, amsgrad: bool) -> Params:  # noqa: FBT001
    """Equation (4) of `scale_by_zo_adamm`, from the moments of its state.

    Args:
      state: m, v and v̂ after the update.
      eps: added outside the root.
      amsgrad: whether v̂ is the maximum.
    """

    def scaled(m: jax.Array, v: jax.Array) -> jax.Array:
        root = jnp.sqrt(v) + eps
        return jnp.where(root > 0, m / root, 0.0)

    return jax.tree.map(scaled, state.mu, state.nu_max if amsgrad else state.nu)
