"""Unbiased zeroth-order descent: random radii whose errors telescope away.

    z_k uniform on the sphere of radius √d,    D_k(r) = [f(x + r z_k) - f(x)] / r,    k = 1...K  (1)
    c_k = D_k(μ) + [D_k(μ q^n) - D_k(μ q^{n-1})] / p_n,    n drawn with p_n ∝ q^n, n = 1...N     (2)
    ĝ   = (1/K) Σ_k c_k z_k,    x ← x - η (ĝ + λ x)                                              (3)

x is `params` with d entries, f is `value_fn`, shape (); μ is `radius`, q `ratio`, N `levels`, K
`num_queries`, η `learning_rate`, λ `weight_decay`. This is P₄, of four points; with `points=3` a
coin decides for one of the two terms of (2), which then counts twice (P₃). The mean over n is D(μ
q^N): the bias of a difference at the smallest radius, for draws at wide ones.

What to know before tuning:
- Where f hardly curves within μ the second term is noise that costs two evaluations: on a linear
  loss K queries of 3 evaluations have the second moment of K one-sided differences of one. There is
  something to gain only where μ must be wide, as with losses that are coarse or noisy.
- But an error e of a loss enters as e q^{-2(n-1)} / μ. With q = 1/2 and N = 4 that is up to 64
  times as much as at level 1: N is what bounds it, and the bias is what is left for that.
- The bound on the second term grows with ‖z‖² = d: the paper's theory asks for μ = O(1/d).

Costs 3 K + 1 loss evaluations a step, 2 K + 1 with three points. Stores K numbers, three counters
and the key.

Reference: Ma, Huang, "On the Optimal Construction of Unbiased Gradient Estimators for Zeroth-Order
Optimization", NeurIPS 2025, arXiv:2510.19953.

Departures:
- n ends at N, with p_n normalized; in the paper it is unbounded, and small radii drown in rounding.
- The geometric law of n alone; the paper has a Zipf law too, and the same optimal pairing of p and
  μ.
- K queries share f(x). With three points a query whose coin shows the first term evaluates a point
  that it does not use, so that a step's cost is fixed: 2 + 1 evaluations, not 2.5 on average.
- P₁ and P₂ are not offered: their second moment is infinite where f(x) or the slope is not 0.
- A loss that is not finite makes the whole update zero, weight decay included.

Not established: q (or the exponent of Zipf's law) in the paper's runs. Its runs on language models
have μ = 1e-3 and four evaluations a step.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, telescoping
from zojax.samplers import Sampler, sphere
from zojax.transforms import skip_nonfinite, weight_decay_links


def unbiased_zo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    points: int = 4,
    ratio: ArrayLike = 0.5,
    levels: int = 4,
    sampler: Sampler = sphere(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """Unbiased descent; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: μ, above 0.
      num_queries: K, at least 1.
      points: 4 for P₄, 3 for P₃.
      ratio: q, above 0 and below 1.
      levels: N, at least 1.
      sampler: the law of z.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
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
      >>> value_fn = lambda x: jnp.sum((x - 1) ** 2)
      >>> x = jnp.zeros(20)
      >>> tx = zojax.unbiased_zo(0.01, jax.random.key(0), radius=0.1)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(200):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    links = chain(
        estimate_gradient(
            key,
            sampler,
            telescoping(radius, num_queries, points, ratio=ratio, levels=levels),
            accumulate=accumulate,
            chunk_size=chunk_size,
            read_once=True,
            axis_name=axis_name,
            axes=axes,
        ),
        *weight_decay_links(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return skip_nonfinite(links)
