"""The refined second moment of R-AdaZO."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._dtypes import wide
from zojax._typing import Params


class ScaleByRAdazoState(NamedTuple):
    """State of `scale_by_r_adazo`.

    Attributes:
      mu: m, a tree shaped like params, float32 or wider.
      nu: v, like m.
      num_updates: t, updates made so far, shape (), int32. (`count` is that of the estimate.)
    """

    mu: Params
    nu: Params
    num_updates: jax.Array


def scale_by_r_adazo(
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.99,
    eps: ArrayLike = 1e-8,
    eps_root: ArrayLike = 0.0,
    *,
    warmup_steps: ArrayLike = 0,
) -> optax.GradientTransformation:
    """Divides the first moment by the root of a second moment that is built from the first.

        m_t = b1 m_{t-1} + (1 - b1) ĝ_t                                                      (1)
        v_t = b2 v_{t-1} + (1 - b2) m_t²                                                     (2)
        u_t = m_t / (√(v_t + eps_root) + eps)                                                (3)

    elementwise, with m_0 = v_0 = 0 and no bias correction. The square of an estimate is mostly
    that of its noise; m has averaged much of it away, so v comes closer to what it would be without
    noise: for estimates of mean g and variance σ² it tends to g² + σ² (1 - b1)/(1 + b1).

    Where noise dominates, u has the size 1, while a second moment of ĝ_t² gives
    √((1 - b1)/(1 + b1)), 0.23 at b1 = 0.9: compare the two at learning rates of that ratio. The
    first updates are larger, 1/√(1 - b2) = 10 in every entry at first; `warmup_steps` removes that.

    With b1 = 0 it is RMSProp, with b2 = eps = 0 the sign of m. Where the denominator is 0 (v = 0
    without any eps) so is u.

    Stores two trees like params. No loss evaluation.

    Args:
      b1: decay of the first moment, at least 0 and below 1.
      b2: decay of the second moment, at least 0 and below 1.
      eps: added outside the root, at least 0; the form of the official code.
      eps_root: added inside the root, at least 0.
      warmup_steps: while t, counted from 1, is below this the denominator is 1, so that u = m;
        v is collected meanwhile. 30 is what the authors' LLM runs have.

    Raises:
      ValueError: if a number is out of range.

    Source: Shu, Zhang, He, Dai, "Refining adaptive zeroth-order optimization at ease", ICML 2025,
    arXiv:2502.01014.
    """
    _checks.below_one(b1=b1, b2=b2)
    _checks.not_negative(eps=eps, eps_root=eps_root, warmup_steps=warmup_steps)

    def init_fn(params: Params) -> ScaleByRAdazoState:
        def zeros() -> Params:
            return jax.tree.map(lambda leaf: jnp.zeros_like(leaf, wide(leaf.dtype)), params)

        return ScaleByRAdazoState(zeros(), zeros(), jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates, state: ScaleByRAdazoState, params: Params | None = None
    ) -> tuple[optax.Updates, ScaleByRAdazoState]:
        del params
        estimate = optax.tree.cast_like(updates, state.mu)
        mu = optax.tree.update_moment(estimate, state.mu, b1, 1)  # (1)
        nu = optax.tree.update_moment(mu, state.nu, b2, 2)  # (2)
        new_state = ScaleByRAdazoState(mu, nu, optax.safe_increment(state.num_updates))
        new_updates = r_adazo_update(new_state, eps, eps_root, warmup_steps)
        return optax.tree.cast_like(new_updates, updates), new_state

    return optax.GradientTransformation(init_fn, update_fn)


def r_adazo_update(
    state: ScaleByRAdazoState, eps: ArrayLike, eps_root: ArrayLike, warmup_steps: ArrayLike
) -> Params:
    """Equation (3) of `scale_by_r_adazo`, from the moments of its state.

    Args:
      state: m, v and t after the update.
      eps: as there, and so are the others.
      eps_root: added inside the root.
      warmup_steps: below which the denominator is 1.
    """
    warm = state.num_updates < warmup_steps

    def scaled(m: jax.Array, v: jax.Array) -> jax.Array:
        root = jnp.where(warm, 1.0, jnp.sqrt(v + eps_root) + eps)
        return jnp.where(root > 0, m / root, 0.0)

    return jax.tree.map(scaled, state.mu, state.nu)
