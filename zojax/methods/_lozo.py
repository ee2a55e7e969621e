"""LOZO: MeZO along products of thin factors, one of which stays for many steps; LOZO-M.

For every matrix W, m by n, among `params`, and every other leaf v:

    V ~ N(0, 1), n by r,  drawn every T steps;    U ~ N(0, 1), m by r,    z_v ~ N(0, I)          (1)
    Z = U Vᵀ / √r                                                                                (2)
    s = [f(W + ε Z, v + ε z_v) - f(W - ε Z, v - ε z_v)] / (2 ε)                                  (3)
    W ← W - η (s Z + λ W),    v ← v - η (s z_v + λ v)                                            (4)

and with `momentum` β > 0, LOZO-M, averages in the place of s U and of s z_v:

    N ← β N P + (1 - β) s U,    a ← β a + (1 - β) s z_v;    at first s U and s z_v               (5)
    P = V_oldᵀ V / n  in a step that draws V,  the identity in others                            (6)
    W ← W - η (N Vᵀ / √r + λ W),    v ← v - η (a + λ v)                                          (7)

f is `value_fn`, shape (); r is `rank`, T is `period`, ε is `radius`, η is `learning_rate` and λ is
`weight_decay`. With several queries s U and s z_v are the means of theirs. `views` says which
leaves are matrices; all are perturbed together.

What to know before tuning:
- By the root in (2) E[Z_ij²] = 1, so ε and η are those of MeZO. The paper's Z lacks it, and its
  step divides by r in the end: on matrices its ε is ours over √r, and its η ours. The official code
  does not divide: there η is ours over r.
- Until V is drawn anew, all that W gains has its rows in the span of V's columns.
- V_old and V are independent, so P is 0 on average, its entries of size 1/√n: most of the momentum
  is forgotten when V is drawn.
- A single step is no better than MeZO's: E‖s Z‖² = mn + 2 + 2 (m + n + 1)/r times ‖∇f‖² on one
  matrix.

Costs 2 K loss evaluations a step with K queries. Stores V, n r numbers a matrix, float32; LOZO-M
also N, m r numbers a matrix, and a, one number for each entry of the leaves that are no matrix.

Reference: arXiv:2410.07698 (LOZO), ICLR 2025, and its official code, optsuite/LOZO.

Departures:
- In steps that draw V the official code draws V and U from one stream where it perturbs, and U
  alone where it updates: the update has another U than the losses were measured with, one step of
  pure noise in T. Here the factors have keys of their own, and what was measured is applied.
- (2), see above.
- A stack of layers is a batch of matrices, an attention kernel with an axis for the heads one
  matrix. The official code knows matrices of two axes alone, m being the first.
- A matrix with a side below r has that side for r.
- The official code skips weight decay on biases and layer norms by name; here the mask says so.
- As in `zojax.mezo`, directions are drawn from (key, step, query, leaf path), and a loss that is
  not finite makes the whole update zero, weight decay included; N and a then stay, but for (6).
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Views, factored, kernels_as_matrices, vectors
from zojax.transforms import (
    in_finite_steps,
    in_float32,
    running_average,
    skip_nonfinite,
    weight_decay_links,
)


def lozo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    rank: int = 2,
    period: int | None = 50,
    momentum: ArrayLike = 0.0,
    views: Views = kernels_as_matrices,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """LOZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; what `zojax.mezo` would take.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: K, at least 1.
      rank: r, at least 1; 1 or 2 for OPT-13B in the paper, 4 or 8 for RoBERTa.
      period: T, at least 1; None keeps V for the run. 50 or 100 in the paper.
      momentum: β, at least 0 and below 1; 0 is LOZO, 0.9 LOZO-M as its runs have it.
      views: (path, leaf) -> which axes are rows (m) and columns, None for no matrix; see
        `zojax.MatrixView`. Under optax.inject_hyperparams name it in static_args.
      bits: random bits of a number of U, V and z_v, 8, 16 or 32 (see `zojax.gaussian`); static
        there too.
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
      >>> tx = zojax.lozo(0.01, jax.random.key(0), momentum=0.9)
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
    _checks.below_one(momentum=momentum)
    if period is not None:
        _checks.at_least(1, period=period)
    # U is a core with an identity on its left: what momentum has for coordinates.
    sampler = factored(
        rank,
        left="identity",
        core="gaussian",
        right="gaussian",
        right_period=period,
        views=views,
        at_refresh="sketch",
        bits=bits,
    )
    is_plain = isinstance(momentum, (int, float)) and momentum == 0
    estimate = estimate_gradient(
        key,
        sampler,
        central(radius, num_queries),
        inner=None if is_plain else running_average(momentum),
        accumulate=accumulate,
        chunk_size=chunk_size,
        read_once=is_plain,
        axis_name=axis_name,
        axes=axes,
    )
    links = list(weight_decay_links(weight_decay, weight_decay_mask))
    if not is_plain:
        average = in_float32(running_average(momentum))
        links.insert(0, in_finite_steps(optax.masked(average, vectors(views))))
    return skip_nonfinite(chain(estimate, *links, optax.scale_by_learning_rate(learning_rate)))
