"""SubZero: MeZO in a small random subspace of every matrix, which is kept for many steps.

For every matrix W, m by n, among `params`, and every other leaf v:

    U, V = Q of gaussian m by r and n by r matrices, with the uniform law;  drawn every T steps  (1)
    Z = √(mn)/r U C Vᵀ,    C_ij ~ N(0, 1), r by r,    z_v ~ N(0, I);        drawn every step     (2)
    s = [f(W + ε Z, v + ε z_v) - f(W - ε Z, v - ε z_v)] / (2 ε)                                  (3)
    W ← W - η (s Z + λ W),    v ← v - η (s z_v + λ v)                                            (4)

f is `value_fn`, shape (); r is `rank`, T is `period`, ε is `radius`, η is `learning_rate` and λ is
`weight_decay`. With several queries s Z is the mean of theirs. `views` says which leaves are
matrices; all are perturbed together.

What to know before tuning:
- The factor in (2) makes E‖Z‖² = mn, that of a gaussian direction, so ε and η are those of MeZO.
- E[s Z] is the gradient on average over (1) as well. Given U and V it is mn/r² times the gradient's
  projection to the subspace, whose share of the gradient is r²/(mn) on average. So a single step is
  no better than MeZO's: E‖s Z‖² = mn (1 + 2/r²) ‖∇f‖² on one matrix. Steps between two draws of (1)
  build on each other.
- W moves within U R^{r×r} Vᵀ for T steps. A T that is long beside the run leaves most of W alone.

Costs 2 n loss evaluations a step with n queries. Stores U and V, (m + n) r numbers a matrix,
float32; cores are drawn, r² numbers a matrix and query.

Reference: arXiv:2410.08989 (SubZero), ICCV 2025, and its official code, zimingyy/SubZero.

Departures:
- The factor √(mn)/r, a trick in the paper's text, is always there, as in the official code.
- Signs of Q are those of the uniform law; the official code takes what its QR gives. C makes the
  law of Z the same.
- The official code takes one query, and refuses more; here they may be several.
- A stack of layers is a batch of matrices, an attention kernel with an axis for the heads one
  matrix. The official code knows matrices of two axes alone.
- A matrix with a side below r has that side for r; in the official code it fails.
- For adapters the official code folds a thin factor into the most square matrix of its size before
  (1). That is not offered: their small side takes the place of r.
- The paper has T = 1000, its code 2000; r = 8 is the code's.
- As in `zojax.mezo`, directions are drawn from (key, step, query, leaf path), and a loss that is
  not finite makes the whole update zero, weight decay included.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Views, factored, kernels_as_matrices
from zojax.transforms import skip_nonfinite, weight_decay_links


def subzero(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    rank: int = 8,
    period: int | None = 1000,
    views: Views = kernels_as_matrices,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """SubZero; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; what `zojax.mezo` would take.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: n, at least 1.
      rank: r, at least 1.
      period: T, at least 1; None keeps U and V for the run.
      views: (path, leaf) -> which axes are rows (m) and columns, None for no matrix; see
        `zojax.MatrixView`. Under optax.inject_hyperparams name it in static_args.
      bits: random bits of a number of C and z_v, 8, 16 or 32 (see `zojax.gaussian`); static there
        too.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range; in `init` for a rank above the smaller side of every
        matrix, another number of bits, or a view that does not fit.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x["w"] - 1) ** 2) + jnp.sum(x["b"] ** 2)
      >>> x = {"b": jnp.ones(3), "w": jnp.zeros((4, 3))}
      >>> tx = zojax.subzero(0.01, jax.random.key(0), rank=2, period=10)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.1)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    if period is not None:
        _checks.at_least(1, period=period)
    sampler = factored(
        rank,
        left="haar",
        core="gaussian",
        right="haar",
        left_period=period,
        right_period=period,
        views=views,
        bits=bits,
    )
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
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(estimate, *decay, optax.scale_by_learning_rate(learning_rate)))
