"""Sparse-MeZO: MeZO on the small weights of every matrix.

    m_i = 1 where |x_i| ≤ h, else 0                                                             (1)
    z_k ~ N(0, I),    s_k = [f(x + ε m·z_k) - f(x - ε m·z_k)] / (2 ε),    k = 1...K              (2)
    x   ← x - η m·[(1/K) Σ_k s_k z_k + λ x]                                                     (3)

x is `params`, f is `value_fn`, shape (); ε is `radius`, K `num_queries`, η `learning_rate`, λ
`weight_decay`. h is a number for each matrix: that which a share of 1 - `sparsity` of its entries
does not exceed when the state is made. m is made anew of the weights in every step, and within a
step of the weights as they are, not as they are perturbed.

What to know before tuning:
- The mean of the estimate is m·∇f, and its second moment goes with the number of small weights, so
  η may be larger than MeZO's: with a quarter of the weights up to four times, where none of them
  curves the loss more than the others.
- A weight that grows above h rests from then on, at what it has become.
- h depends on the params that `init` is given: those that training starts from.

Costs 2 K loss evaluations a step. Stores a number a matrix, K numbers, three counters and the key.
The mask is made where the loss reads a weight, and is nowhere kept.

Settings of the paper: sparsity 0.75 or 0.8, K = 1, ε = 1e-3.

Reference: Liu, Zhu, Gong, Cheng, Hsieh, You, "Sparse MeZO: Less Parameters for Better Performance
in Zeroth-Order LLM Fine-Tuning", NeurIPS 2025, arXiv:2402.15751, Algorithm 1 and Section 3.

Departures:
- The algorithm compares x_i with h, the text the magnitudes; these are meant here.
- Stacked layers have a threshold each (`views`); the leaves that are no matrices one for each leaf.
- Weights that rest do not decay.
- A loss that is not finite makes the whole update zero, weight decay included.

Not established: whether biases and norms are masked in the paper's runs; they are here.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Sampler, Views, gaussian, kernels_as_matrices, small_weights
from zojax.transforms import rest_large_weights, skip_nonfinite, weight_decay_links


def sparse_mezo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    sparsity: ArrayLike = 0.75,
    sampler: Sampler = gaussian(),
    views: Views = kernels_as_matrices,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """Sparse-MeZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: K, at least 1.
      sparsity: share of the weights of a matrix that rest, at least 0 (it is MeZO) and below 1.
      sampler: the law of z, one that is drawn entry by entry; see `zojax.small_weights`.
      views: (path, leaf) -> which axes are a matrix, for stacked leaves; see `zojax.MatrixView`.
        Under optax.inject_hyperparams name it in static_args.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range; in `init` if z is not drawn entry by entry, or a view
        does not fit.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x - 1) ** 2)
      >>> x = jnp.array([0.1, 5.0, -0.2, 6.0])
      >>> tx = zojax.sparse_mezo(0.05, jax.random.key(0), sparsity=0.5)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(8):
      ...     x, state = step(x, state)
      >>> [float(large) for large in x[1::2]]  # rest
      [5.0, 6.0]
    """
    _checks.learning_rate(learning_rate=learning_rate)
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    if decay:
        decay += (rest_large_weights(sparsity, views=views),)
    links = chain(
        estimate_gradient(
            key,
            small_weights(sampler, sparsity, views=views),
            central(radius, num_queries),
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        ),
        *decay,
        optax.scale_by_learning_rate(learning_rate),
    )
    return skip_nonfinite(links)
