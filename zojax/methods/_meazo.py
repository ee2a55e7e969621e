"""MEAZO: MeZO whose step is divided by one adaptive number.

    s_t = (1/n) Σ_k [f(x + ε z_k) - f(x - ε z_k)] / (2 ε),    z_k ~ N(0, I),    ĝ_t likewise     (1)
    v_t = β v_{t-1} + (1 - β) s_t²,    v_0 = 0                                                   (2)
    x   ← x - η [ĝ_t / (√(v_t / (1 - β^t)) + e) + λ x]                                           (3)

x is `params`, f is `value_fn`, shape (); ε is `radius`, n is `num_queries`, β is `decay`, e is
`eps`, η is `learning_rate` and λ is `weight_decay`. With one query ĝ_t = s_t z, so (2) is Adam's
second moment without the z² of each entry, whose mean is 1: the paper's point is that zeroth-order
estimates know of no others differences between coordinates than those, and that Adam's trees store
nothing else.

What to know before tuning:
- The step's length is about η √d whatever the scale of the loss, as Adam's is; its direction is
  MeZO's. The first step is η sign(s) z. η is one of Adam's.
- With several queries s is their mean, which falls by 1/√n where ĝ does as well.

Costs 2 n loss evaluations a step. Stores n + 2 scalars, four counters and the key.

Reference: arXiv:2605.03869 (MEAZO), as summarized elsewhere: its text could not be read, so that
defaults and the mean over queries are assumed.

Departures:
- The bias of v is corrected by 1 - β^t; the printed exponent t - 1 would divide by 0 at first.
- Those of `zojax.mezo`. A loss that is not finite also leaves v alone.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Sampler, gaussian
from zojax.transforms import scale_by_slope_rms, skip_nonfinite, weight_decay_links


def meazo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    decay: ArrayLike = 0.99,
    eps: ArrayLike = 1e-8,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """MEAZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; what `zojax.mezo_adam` would take.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: n, at least 1.
      decay: β, at least 0 and below 1.
      eps: e, at least 0.
      sampler: the law of z.
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
      >>> tx = zojax.meazo(optax.linear_schedule(0.05, 0.0, 200), jax.random.key(0))
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
    estimate = estimate_gradient(
        key,
        sampler,
        central(radius, num_queries),
        accumulate=accumulate,
        chunk_size=chunk_size,
        read_once=True,
        axis_name=axis_name,
        axes=axes,
    )
    links = weight_decay_links(weight_decay, weight_decay_mask)
    rate = optax.scale_by_learning_rate(learning_rate)
    return skip_nonfinite(chain(estimate, scale_by_slope_rms(decay, eps), *links, rate))
