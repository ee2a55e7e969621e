"""MeZO: zeroth-order SGD at the memory of inference.

    z_k ~ N(0, I),  k = 1...n                                                                   (1)
    s_k = [f(x + ε z_k) - f(x - ε z_k)] / (2 ε)                                                  (2)
    ĝ   = (1/n) Σ_k s_k z_k                                                                      (3)
    x   ← x - η (ĝ + λ x)                                                                       (4)

x is `params`, f is `value_fn`, shape (); ε is `radius`, n is `num_queries`, η is `learning_rate`
and λ is `weight_decay`, on the leaves that `weight_decay_mask` names. For ε → 0 the mean of ĝ is
the gradient of f, and E‖ĝ‖² = (d + n + 1)/n ‖∇f‖² in d dimensions.

Costs 2 n loss evaluations a step. Stores n + 1 scalars, three counters and the key: directions are
regenerated, for the two points of a query at once.

Reference: Malladi, Gao, Nichani, Damian, Lee, Chen, Arora, "Fine-Tuning Language Models with Just
Forward Passes", NeurIPS 2023, arXiv:2305.17333, Algorithms 1 (n = 1) and 2.

Departures:
- Directions are drawn row by row from (key, step, query, leaf path) in float32, not from one stream
  in the dtype of the weights; x ± ε z are formed functionally, so weights cannot drift by being
  perturbed and restored in place.
- All n queries of a step see the same batch, as in the official code (Algorithm 2 draws one each).
- The official code skips weight decay on biases and layer norms by name; here the mask says so.
- A loss that is not finite makes the whole update zero, weight decay included.
- Other laws than the gaussian are offered (`sampler`); all have E[z zᵀ] = I, so η means the same.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Sampler, gaussian
from zojax.transforms import skip_nonfinite, weight_decay_links


def mezo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """MeZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; the paper's runs keep it constant.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: n, at least 1.
      sampler: the law of z, `zojax.rademacher()` and `zojax.factored(rank)` being the cheap ones.
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
      >>> tx = zojax.mezo(0.05, jax.random.key(0))
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
    estimator = central(radius, num_queries)
    links = [
        estimate_gradient(
            key,
            sampler,
            estimator,
            accumulate=accumulate,
            chunk_size=chunk_size,
            read_once=True,
            axis_name=axis_name,
            axes=axes,
        )
    ]
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(*links, *decay, optax.scale_by_learning_rate(learning_rate)))
