"""ZO-SGD: descent along an average of forward differences.

    z_k uniform on the sphere of radius √d,  k = 1...K                                           (1)
    ĝ = (1/K) Σ_k [f(x + r z_k) - f(x)] / r · z_k                                                (2)
    x ← x - η ĝ                                                                                  (3)

x is `params` with d entries, f is `value_fn`, shape (); r is `radius`, K is `num_queries`, η is
`learning_rate`. For r → 0 the mean of ĝ is the gradient of f, and E‖ĝ‖² = (d + K - 1)/K ‖∇f‖².

Costs K + 1 loss evaluations a step: the loss at x serves all K differences, which is what forward
differences have over central ones once there are several. They are off by the curvature, r/2 zᵀHz.
Stores K + 1 scalars, three counters and the key.

Reference: Ghadimi and Lan, "Stochastic first- and zeroth-order methods for nonconvex stochastic
programming", SIAM Journal on Optimization 23(4), 2013, arXiv:1309.5549; in this form, with sphere
directions and several of them, Liu et al., "A primer on zeroth-order optimization in signal
processing and machine learning", IEEE Signal Processing Magazine 37(5), 2020, arXiv:2006.06224.

Departures:
- z is √d times a unit vector u, so that E[z zᵀ] = I as for all samplers: the smoothing radius of
  the papers is μ = √d r, and their factor d in front of ĝ is contained in z zᵀ.
- Directions are drawn over all leaves together; some official codes normalize them leaf by leaf,
  which makes the radius of the whole √(number of leaves) times as large.
- A loss that is not finite makes the whole update zero.
- With `sampler=zojax.gaussian()` it is the estimator of the first reference. With
  `zojax.coordinate()` it is coordinate descent over K random entries (ZO-SCD, there with central
  differences), with `zojax.coordinate("cyclic")` and K = d descent along the coordinate-wise
  estimate (CGE).
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, forward
from zojax.samplers import Sampler, sphere
from zojax.transforms import skip_nonfinite, weight_decay_links


def zo_sgd(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 10,
    sampler: Sampler = sphere(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZO-SGD; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key, as jax.random.key makes.
      radius: r, above 0.
      num_queries: K, at least 1.
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
      >>> value_fn = lambda x: jnp.sum(x**2)
      >>> x = jnp.array([1.0, 2.0])
      >>> tx = zojax.zo_sgd(0.05, jax.random.key(0))
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(100):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 1e-2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    links = chain(
        estimate_gradient(
            key,
            sampler,
            forward(radius, num_queries),
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
