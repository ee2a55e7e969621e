"""HiZOO: MeZO whose directions, and so its steps, are shorter where the loss curves more.

    z_k = u_k / √h,    u_k ~ N(0, I),    k = 1...n                                               (1)
    s_k = [f(x + ε z_k) - f(x - ε z_k)] / (2 ε)                                                  (2)
    κ_k = [f(x + ε z_k) + f(x - ε z_k) - 2 f(x)] / ε²                                            (3)
    x   ← x - η [(1/n) Σ_k s_k z_k + λ x]                                                        (4)
    h   ← (1 - a) h + (a / n) Σ_k |κ_k| / 2 · h u_k²,    h = 1 at first                          (5)

entry by entry. HiZOO-L (`factored`) keeps the means of (5) over the columns and the rows of a
matrix,

    R_i ← mean_j of (5),    C_j ← mean_i of (5),    h_ij = R_i C_j / mean(R)                     (6)

x is `params`, f is `value_fn`, shape (); ε is `radius`, n is `num_queries`, η is
`learning_rate`, λ is `weight_decay` and a is `curvature_rate`. h is the inverse of the paper's Σ.

What to know before tuning:
- The mean of s z is ∇f/h. On a quadratic with the Hessian diag(c) in d dimensions (5) comes to rest
  at h = c (d + 2)/2, in proportion to the curvature, so (4) becomes Newton's step but for its
  length.
- κ is about Tr(H/h), so (5) moves h by a share a κ/2 a step. For large models that trace is large,
  and a = 1e-8, the official script's, is not nothing; for a small one it is, and this is MeZO.
- Rounding of the losses in float32 gives κ an error of about 2⁻²³ |f| / ε², and |κ| takes it for
  curvature: 0.1 at ε = 1e-3 and f = 1. Nothing of (5) survives losses in 16 bits.
- h stays above 0, and decays where κ is small, so steps there become longer.

Costs 2 n + 1 loss evaluations a step. Stores h, params-sized: 4 bytes a weight (8 for float64), a
copy of float32 params and two of bfloat16 ones; HiZOO-L stores R and C, 4 (m + n) bytes of an m by
n matrix. Noise is drawn once more than by MeZO.

Reference: arXiv:2402.15173 (HiZOO), ICLR 2025, and its official code, Yanjun-Zhao/HiZOO, whose form
of (5) this is.

Departures:
- The paper, as it is quoted elsewhere (its text could not be read), subtracts 1 from u² in (5)
  before it takes the absolute value of the product. The official code does not.
- The update has the h that losses were measured with, and h moves afterwards. The official code
  moves h first, and then divides the noise by the root of the new one.
- The official code evaluates f(x) a second time, to log it, and raises the learning rate by epochs.
- Several queries share a step, and their mean moves h; the official code has one.
- The rule of HiZOO-L is not established here: of its paper the abstract was read, which names the
  memory alone. (6) is Adafactor's, from which every code that keeps rows and columns takes it.
- A loss that is not finite makes the whole update zero, weight decay included, and leaves h alone.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central_with_curvature, chain, estimate_gradient
from zojax.samplers import diagonal, kernels_as_matrices
from zojax.transforms import skip_nonfinite, weight_decay_links


def hizoo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    curvature_rate: ArrayLike = 1e-8,
    factored: bool = False,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """HiZOO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; as h begins at 1, what `zojax.mezo` would take.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: n, at least 1.
      curvature_rate: a, at least 0 and below 1; 0 is `zojax.mezo` with an evaluation more.
      factored: whether h of a matrix is kept as means of rows and columns, HiZOO-L.
      bits: random bits of a number of u, 8, 16 or 32 (see `zojax.gaussian`). Under
        optax.inject_hyperparams name it in static_args.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, or for another number of bits.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum(jnp.array([1.0, 30.0]) * x**2)
      >>> x = jnp.array([1.0, 1.0])
      >>> tx = zojax.hizoo(0.05, jax.random.key(0), radius=0.1, curvature_rate=0.1)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(200):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.05)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.below_one(curvature_rate=curvature_rate)
    _checks.flag(factored=factored)
    estimate = estimate_gradient(
        key,
        diagonal(curvature_rate, bits=bits, views=kernels_as_matrices if factored else None),
        central_with_curvature(radius, num_queries),
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(estimate, *decay, optax.scale_by_learning_rate(learning_rate)))
