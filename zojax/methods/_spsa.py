"""SPSA: simultaneous perturbation with gains that decay, as Spall published it.

    Δ_k ~ uniform on {-1, 1}^d                                                                   (1)
    ĝ_k = [f(x + c_k Δ_k) - f(x - c_k Δ_k)] / (2 c_k) Δ_k                                        (2)
    x   ← x - a_k (ĝ_k + λ x),    k = 0, 1...                                                    (3)
    a_k = a / (k + 1 + A)^α,    c_k = c / (k + 1)^γ,    a = η (1 + A)^α                          (4)

x is `params`, f is `value_fn`, shape (); the first of the a_k, η, is `learning_rate`, c is
`radius`, A is `stability`, α is `alpha`, γ is `gamma` and λ is `weight_decay`. Spall's (2) divides
by the entries of Δ, which for signs is to multiply with them. With several queries ĝ is the mean of
theirs.

What to know before tuning:
- x converges almost surely (under conditions on f and its noise) if the a_k add up to infinity and
  a_k²/c_k² do not, as for α = 1, γ = 1/6, which are the best in the limit; α = 0.602, γ = 0.101 are
  about the least that the theory allows, and better in runs that end.
- c is to be about the standard deviation of the noise of f(x), A a tenth of the steps or less, and
  η such that η times the size of an entry of ĝ is the wanted first step.
- A loss without noise wants a small c, and could keep it: γ = 0, and α = 0 with it, is MeZO along
  signs.

Costs 2 n loss evaluations a step with n queries. Stores n + 1 scalars, four counters and the key.

Reference: Spall, "Multivariate stochastic approximation using a simultaneous perturbation gradient
approximation", IEEE Transactions on Automatic Control 37, 1992; the gains and the advice are those
of his "Implementation of the simultaneous perturbation algorithm for stochastic optimization", IEEE
Transactions on Aerospace and Electronic Systems 34, 1998.

Departures:
- The first gain is what is given, not a. It may be a schedule, which (4) is multiplied with.
- The k of (4) counts steps also where a loss is not finite. There nothing moves.
- As in `zojax.mezo`, directions are drawn from (key, step, query, leaf path), and other laws are
  offered (`sampler`); gaussian ones are against Spall's conditions, as 1/Δ has no variance there,
  but (2) multiplies.
"""

from typing import Any

import jax
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Sampler, rademacher
from zojax.transforms import scale_by_decaying_gain, skip_nonfinite, weight_decay_links


def spsa(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-2,
    num_queries: int = 1,
    stability: ArrayLike = 100.0,
    alpha: ArrayLike = 0.602,
    gamma: ArrayLike = 0.101,
    sampler: Sampler = rademacher(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """SPSA; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: c, above 0.
      num_queries: n, at least 1.
      stability: A, at least 0; a tenth of the steps of the run.
      alpha: α, at least 0.
      gamma: γ, at least 0.
      sampler: the law of Δ.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum(x**2)
      >>> x = jnp.array([1.0, 2.0])
      >>> tx = zojax.spsa(0.1, jax.random.key(0), stability=20)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(200):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 1e-2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.positive(radius=radius)
    _checks.not_negative(gamma=gamma)

    def distance(step: jax.Array) -> jax.Array:
        return radius * (step + 1.0) ** -gamma

    estimate = estimate_gradient(
        key,
        sampler,
        central(distance, num_queries),
        accumulate=accumulate,
        chunk_size=chunk_size,
        read_once=True,
        axis_name=axis_name,
        axes=axes,
    )
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    gain = scale_by_decaying_gain(stability, alpha)
    rate = optax.scale_by_learning_rate(learning_rate)
    return skip_nonfinite(chain(estimate, *decay, gain, rate))
