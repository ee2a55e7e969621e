"""LOREN: zeroth-order descent that learns, per matrix, one direction in which to step less.

For every matrix of m rows and n columns among `params`, with a ∈ Rⁿ of its own:

    U_k ~ N(0, 1), m by n,    D = √(ρ + ‖a‖²),    k = 1...K                                      (1)
    Z_k = U_k - (U_k a) aᵀ / (D (D + √ρ)),    so each row is N(0, ρ (ρ I + a aᵀ)⁻¹)              (2)
    f_k = f(x + ε z_k),    w_k = f_k - mean_j f_j                                                (3)
    ĝ   = Σ_k w_k z_k / (ε (K - 1))                                                              (4)
    S_k = √ρ (m a / D² - Z_kᵀ Z_k a / ρ)                                                         (5)
    M   ← β M + ĝ,    x ← x - η (M + λ x)              (M = ĝ for leaves that are no matrix)     (6)
    a   ← a - η_a τ Σ_k w_k S_k / (K - 1)                                                        (7)

x is `params`, f is `value_fn`, shape (); ε is `radius`, K `num_queries`, ρ `rho`, β `momentum`, η
`learning_rate`, λ `weight_decay`, η_a `curvature_learning_rate`, τ `temperature`. A leaf that is no
matrix is one row, and a has its shape. S_k is √ρ times the score ∇_a log p(z_k), so (7) with τ = 1
is stochastic descent of E f(x + ε z) in a: z turns away from where the loss curves upward. On a
linear loss the mean of ĝ is ρ (ρ I + a aᵀ)⁻¹ ∇f for every K. Directions only become shorter by a.

`structure="whole_tensor"` has one vector for all rows: 1ₘ ⊗ a for a in (1), (2) and (5), that is
D = √(ρ + m ‖a‖²), every row of Z_k less by the same multiple of a, S_k from the sums over rows.

The temperature: what (7) can learn is O(ε² curvature), and the noise of Σ w_k S_k is O(ε ‖∇f‖).
τ = 1 is the plain gradient of the expected loss; it moves a slowly, but well above the rounding of
float32. τ = ε² is the scale of the official code, where at its η_a the steps are lost in rounding
for nearly all entries of a. τ = 1/ε² makes the signal as large as the curvature, and the noise
‖∇f‖/ε: it asks for a much smaller η_a.

Costs K loss evaluations a step, none of them at x. Stores M, as large as the matrices, float32, and
a, n numbers a matrix. The noise is drawn twice a query: where f meets it, and for ĝ and (5)
together; U a is made of what is drawn. Of matrices with more than 1/32 of all entries (embeddings)
U a is made beforehand and (5) by itself: four times, three if η_a or τ is 0. While the update is
formed, the ĝ of one leaf is alive.

Reference: arXiv:2511.07971 (LOREN), AAAI 2026, and its official code, hseung88/loren.

Departures:
- Row blocks, the default, are the curvature I ⊗ (ρ I + a aᵀ) of the paper. The official code has
  the whole tensor: it tiles a over the rows, and then takes one inner product.
- The root in (2) is positive definite. The official one is I - (1 + √ρ/D) a aᵀ/‖a‖², whose
  eigenvalue along a has the other sign: the same law of z, but it divides by ‖a‖, and does not tend
  to the identity for a → 0.
- a is the same for all queries of a step and for (4): it moves once, in the end. The official code
  moves it after each query, and then draws the next direction again with another a than it was
  measured with.
- For leaves that are no matrix (7) is elementwise. The official code sums the score of a vector
  over its entries, and subtracts that number from all of them.
- The momentum decays and steps once a step. That of the official code does both once a query:
  `momentum_per_query` has g_k = w_k z_k / (ε (K - 1)) for ĝ in (6), k = 1...K in turn, the decay
  λ x once behind all. Each g_k weighs 1/(1 - β) in all either way; it is forgotten by β^K a step.
- Weight decay is off by default, is decoupled, and leaves a alone. The official code always has
  λ = 0.01, on a too and K times a step, as its argument arrives at another place.
- a is float32 also where weights are narrower.
- By default a lies along the axis before the last, the inputs of a Flax kernel (in, out) and of a
  PyTorch weight; of embeddings (vocabulary, features) the official a lies along the features.
- Defaults are the paper's K = 6, and η_a = 1e-3, ρ = 0.1 of the official README. The command line
  of the official code has K = 10 and ρ = 1, its class η_a = 2e-3.
- A loss that is not finite makes the whole update zero, weight decay included, and leaves a alone.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, leave_one_out
from zojax.samplers import Views, anisotropic, last_axis_rows, matrices
from zojax.transforms import in_float32, skip_nonfinite, weight_decay_links


def loren(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 6,
    rho: ArrayLike = 0.1,
    curvature_learning_rate: ArrayLike = 1e-3,
    temperature: ArrayLike = 1.0,
    init_scale: ArrayLike = 1.0,
    momentum: ArrayLike = 0.9,
    momentum_per_query: bool = False,
    structure: str = "row_blocks",
    views: Views = last_axis_rows,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """LOREN; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; with momentum a tenth of what would do without.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: K, at least 2.
      rho: ρ, above 0.
      curvature_learning_rate: η_a, at least 0.
      temperature: τ, at least 0; see above.
      init_scale: standard deviation of the first a, at least 0; with 0 it stays 0.
      momentum: β, at least 0 and below 1.
      momentum_per_query: whether it decays and steps at every query (the official code); one more
        float32 tree is alive while the update is formed, and noise is drawn once more for (5).
      structure: "row_blocks" (the paper) or "whole_tensor" (the official code).
      views: (path, leaf) -> which axes are rows (m) and columns (n), None for no matrix; see
        `zojax.MatrixView`. Under optax.inject_hyperparams name it in static_args.
      bits: random bits of a number of U, 8, 16 or 32 (see `zojax.gaussian`); static there too.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, for an unknown structure, another number of bits, or
        a view that does not fit.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x["w"] - 1) ** 2) + jnp.sum(x["b"] ** 2)
      >>> x = {"b": jnp.ones(3), "w": jnp.zeros((4, 3))}
      >>> tx = zojax.loren(0.01, jax.random.key(0), rho=1.0)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.15)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.flag(momentum_per_query=momentum_per_query)
    _checks.below_one(momentum=momentum)
    _checks.not_negative(curvature_learning_rate=curvature_learning_rate, temperature=temperature)
    estimator = leave_one_out(radius, num_queries)
    # The coefficients are those of (4), and ε times them those of (7).
    rate = curvature_learning_rate * temperature * radius
    sampler = anisotropic(
        rho, rate=rate, structure=structure, init_scale=init_scale, views=views, bits=bits
    )
    heavy_ball = optax.masked(in_float32(optax.trace(momentum)), matrices(views))
    links = [
        estimate_gradient(
            key,
            sampler,
            estimator,
            per_query=heavy_ball if momentum_per_query else None,
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        )
    ]
    if not momentum_per_query:
        links.append(heavy_ball)
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(*links, *decay, optax.scale_by_learning_rate(learning_rate)))
