"""AGZO: directions in the space that the inputs of each layer span.

For every weight W in a product X W with the inputs X of all tokens, (tokens, n) times n by m:

    A = orthonormal basis of the r directions that the rows of X have most of                    (1)
    z = A Rᵀ,    R ~ N(0, 1)^{m x r};    of other leaves z ~ N(0, I)                             (2)
    s_k = [f(x + ε z_k) - f(x)] / ε,    k = 1...K                                                (3)
    x ← x - η [(1/K) Σ_k s_k z_k + λ x]                                                          (4)

x is `params`, f is `value_fn`, shape (); ε is `radius`, K is `num_queries`, r is `rank`, η is
`learning_rate` and λ is `weight_decay`. X is that of f(x), which (3) needs anyway.

What to know before tuning:
- The gradient in W is Xᵀ ∂f/∂(X W): what is outside of the span of X is no part of it. If r is the
  rank of X nothing of the gradient is lost, and z has n / r times fewer coordinates than noise.
- E‖z‖² = m r instead of m n, so with the same ε points lie closer by √(r/n), and η can be larger.

Costs K + 1 loss evaluations a step, and 2 p r tokens n multiplications a weight for (1), with p =
`iterations`. Stores the key and counters. An unmodified loss is watched: nothing is asked of the
model, and layers in a `scan` have a basis each.

Reference: arXiv:2601.17261 (AGZO), ICML 2026, of which the abstract and quotations were read.

Departures:
- Not established: r, p, and whether R is scaled.
- An embedding whose rows are gathered has no X; it has a random orthonormal basis on its shorter
  side, as have weights that are met inside `cond` or `while` or along batch axes (experts).
- X has the rows of all tokens, those of padding too; which of them count only the loss knows.
- Parts of a batch would give other directions, so `accumulate` has to be 1.
- A step cannot be made again from its losses (`zojax.Recorded`, seed logs): X is no loss.
- As in `zojax.mezo`, noise is drawn from (key, step, query, leaf path), and a loss that is not
  finite makes the whole update zero, weight decay included.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, forward
from zojax.samplers import Views, activation_guided, kernels_as_matrices
from zojax.transforms import skip_nonfinite, weight_decay_links


def agzo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    rank: int = 8,
    iterations: int = 2,
    views: Views = kernels_as_matrices,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """AGZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: K, at least 1.
      rank: r, at least 1; a matrix with a side below r gets that side.
      iterations: p, rounds of power iteration for (1), at least 1.
      views: (path, leaf) -> which axes are rows and columns; see `zojax.MatrixView`.
      bits: random bits of a gaussian number, 8, 16 or 32 (see `zojax.gaussian`). Under
        optax.inject_hyperparams name it in static_args.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: 1; see above.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, or `accumulate` above 1; in `update` if a step is
        made again from its losses.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> features = jax.random.normal(jax.random.key(1), (32, 2)) @ jnp.ones((2, 10))
      >>> value_fn = lambda x: jnp.mean((features @ x["w"] - features[:, :3]) ** 2)
      >>> x = {"w": jnp.zeros((10, 3))}
      >>> tx = zojax.agzo(optax.linear_schedule(0.05, 0.0, 200), jax.random.key(0), rank=1)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(200):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.1)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    estimate = estimate_gradient(
        key,
        activation_guided(rank, iterations, views=views, bits=bits),
        forward(radius, num_queries),
        accumulate=accumulate,
        chunk_size=chunk_size,
        read_once=True,
        axis_name=axis_name,
        axes=axes,
    )
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(estimate, *decay, optax.scale_by_learning_rate(learning_rate)))
