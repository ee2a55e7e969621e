"""P-GAP: low-rank directions in the bases of a rough estimate of the gradient, aligned with it.

Every T steps, for each matrix W, m by n, among `params`:

    Ĝ = (1/h) Σ_j ρ_j Z_j,    ρ_j = [f(x + ε Z_j) - f(x - ε Z_j)] / (2 ε),    Z_j ~ N(0, I)      (1)
    U, V: bases of its r largest singular values,    S = Uᵀ Ĝ V                                  (2)

and in every step, with z ~ N(0, I) for every other leaf v:

    C₀ ~ N(0, 1)^{r x r},  ξ = ±1,    C = C₀ - (<S, C₀> - ξ √δ ‖S‖) / ‖S‖² S                     (3)
    s = [f(W + ε U C Vᵀ, v + ε z) - f(W - ε U C Vᵀ, v - ε z)] / (2 ε)                            (4)
    W ← W - η (s U C Vᵀ + λ W),    v ← v - η (s z + λ v)                                         (5)

f is `value_fn`, shape (); T is `period`, h `probes`, r `rank`, δ `delta`, ε `radius`, η
`learning_rate`, λ `weight_decay`. ξ is drawn for each matrix.

What to know before tuning:
- ‖U C Vᵀ‖² is about r², not m n: for steps of MeZO's length η is m n/r² times MeZO's, which is too
  much for biases and norms that share it. `scale=None` multiplies directions by √(m n)/r, and
  MeZO's η means the same.
- With δ = 1 the estimate is that of the gradient within U and V. δ > 1 amplifies the part along Ĝ,
  as a momentum would, in expectation δ times.
- With h = 10 probes the cosine of Ĝ with the gradient is about √(h/d) for d weights: bases of large
  models are little better than random ones, and (5) is then close to `subzero`.

Costs 2 loss evaluations a step, and 2 h more every T steps: 2.2 with the settings of the paper.
Stores (m + n + r) r numbers a matrix. Ĝ exists for one matrix at a time, when bases are made.

Settings of the paper: T = 100, h = 10, r of 128 to 512 for all weights.

Reference: P-GAP, arXiv:2510.18228.

Departures:
- Bases come from three rounds of power iteration, not an SVD; S, diagonal in the paper, is Uᵀ Ĝ V
  here. Ĝ is mostly noise, whose singular values lie close to each other.
- Parts of a batch would choose other bases, so `accumulate` has to be 1.
- A loss that is not finite makes the whole update zero, weight decay included. Should it be one of
  (1), the bases stay, or are looked for again in the next step if there are none.

Not established, as no code was found: δ (its schedule, too), whether norms are aligned (`scale`),
one ξ or one for each matrix, what becomes of vectors, and r for LoRA.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Views, kernels_as_matrices, probed
from zojax.transforms import skip_nonfinite, weight_decay_links


def p_gap(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    rank: int = 128,
    period: int = 100,
    probes: int = 10,
    delta: ArrayLike = 1.0,
    scale: float | None = 1.0,
    views: Views = kernels_as_matrices,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """P-GAP; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; see above.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      rank: r, at least 1; a matrix with a smaller side takes that.
      period: T, at least 1.
      probes: h, at least 1.
      delta: δ, at least 0.
      scale: in front of U C Vᵀ; None for √(m n)/r.
      views: (path, leaf) -> which axes are rows and columns; see `zojax.MatrixView`. Under
        optax.inject_hyperparams name it in static_args.
      bits: random bits of a number, 8, 16 or 32 (see `zojax.gaussian`); static there too.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: 1; see above.
      chunk_size: probes evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`. There is one direction to be shared out.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, a view does not fit, or `accumulate` is above 1.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x["w"] - 1) ** 2) + jnp.sum(x["b"] ** 2)
      >>> x = {"b": jnp.ones(3), "w": jnp.zeros((4, 3))}
      >>> tx = zojax.p_gap(0.02, jax.random.key(0), rank=2, period=10, scale=None)
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
    directions = probed(
        rank, period, probes, radius, delta=delta, scale=scale, views=views, bits=bits
    )
    links = chain(
        estimate_gradient(
            key,
            directions,
            central(radius),
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
