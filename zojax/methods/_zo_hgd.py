"""ZO-HGD: a random estimate, mixed with one along the coordinates that it shows to matter.

    g_r = (1/n_r) Σ_i [f(x + μ z_i) - f(x)] / μ z_i,    z_i uniform on the sphere of radius √d   (1)
    q_j = (1 - κ) |g_r,j| / Σ_l |g_r,l| + κ/d,    j_1...j_n ~ q                                  (2)
    g_c = (1/n) Σ_k [f(x + ν e_j) - f(x - ν e_j)] / (2 ν q_j) e_j,    j = j_k                    (3)
    x   ← x - η (α g_r + (1 - α) g_c + λ x)                                                     (4)

x is `params` with d entries, f is `value_fn`, shape (); n_r is `num_queries`, n `num_coordinates`,
μ `radius`, ν `coordinate_radius`, κ `uniform_share`, α `alpha`, η `learning_rate`, λ
`weight_decay`.

What to know before tuning:
- It is for few dimensions: inputs of a model that is attacked, or the cores of an adapter. A
  coordinate is one of d, and g_r with n_r queries points to the right ones as well as √(n_r/d).
- Given g_r the mean of g_c is the gradient (its central differences along all coordinates). Its
  variance is least for q_j ∝ |∂_j f|, where n coordinates do as well as a gradient of n entries.
- E‖g_r‖² is about (d/n_r) ‖∇f‖². The α that weighs both by their variances depends on the problem.

Costs n_r + 1 + 2 n loss evaluations a step. Stores g_r, a float32 tree like params (4 bytes a
weight), 3 n numbers, three counters and the key; (2) holds vectors of d numbers while it is drawn
from, on every device of a mesh.

Reference: Sharma, Xu, Liu, Chen, Lin, Varshney, "Zeroth-Order Hybrid Gradient Descent: Towards A
Principled Black-Box Optimization Framework", 2020, arXiv:2012.11518.

Departures:
- A fixed number of coordinates is drawn, with replacement, instead of each with its own
  probability: as many on average, and the cost of a step is fixed.
- κ keeps 1/q below d/κ.
- Directions of length √d are what the paper writes as d times unit vectors, with √d times its μ
  here.
- Parts of a batch would choose other coordinates, so `accumulate` has to be 1.
- A loss that is not finite makes the whole update zero, weight decay included.

Not established: only the abstract could be read. (1) to (4) are the usual forms of that group's
papers; schedules of α, n_r and n, and how their importance is found, are not known.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Sampler, hybrid, sphere
from zojax.transforms import skip_nonfinite, weight_decay_links


def zo_hgd(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 10,
    num_coordinates: int = 5,
    coordinate_radius: ArrayLike = 1e-3,
    alpha: ArrayLike = 0.5,
    uniform_share: ArrayLike = 0.1,
    sampler: Sampler = sphere(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZO-HGD; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: μ, above 0.
      num_queries: n_r, at least 1.
      num_coordinates: n, at least 1.
      coordinate_radius: ν, above 0.
      alpha: α, from 0 (coordinates alone) to 1 (random directions alone).
      uniform_share: κ, from 0 to 1; at 1 all coordinates are equally likely.
      sampler: the law of z, one that remembers nothing.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: 1; see above.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, or `accumulate` above 1.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x - 1) ** 2)
      >>> x = jnp.zeros(20)
      >>> tx = zojax.zo_hgd(0.02, jax.random.key(0))
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
    _checks.positive(coordinate_radius=coordinate_radius)
    directions = hybrid(
        sampler,
        num_coordinates,
        radius,
        num_queries,
        alpha=alpha,
        uniform_share=uniform_share,
    )
    links = chain(
        estimate_gradient(
            key,
            directions,
            central(coordinate_radius, num_coordinates),
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        ),
        *weight_decay_links(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return skip_nonfinite(links)
