"""TeZO: MeZO along fixed directions of rank one for each matrix, with moments of few numbers.

For every matrix W, m by n, among `params`, and every other leaf v:

    U ~ N(0, 1), m by r,    V ~ N(0, 1), n by r;  drawn once for the run                         (1)
    Z = U diag(τ) Vᵀ / √r,    τ ~ N(0, I) in Rʳ,    z_v ~ N(0, I);  drawn every step             (2)
    s = [f(W + ε Z, v + ε z_v) - f(W - ε Z, v - ε z_v)] / (2 ε)                                  (3)
    x = s τ,    W ← W - η (D + λ W)  with, by `variant`,                                         (4)

    "plain"      D = U diag(x) Vᵀ / √r
    "momentum"   a ← β₁ a + (1 - β₁) x,    D = U diag(a) Vᵀ / √r
    "adam"       c ← β₂ c + (1 - β₂) x² besides,
                 D = U diag(a) Vᵀ / √r  over  √((U∘U) diag(c) (V∘V)ᵀ / r + e),  entry by entry

f is `value_fn`, shape (); r is `rank`, ε is `radius`, η is `learning_rate`, λ is `weight_decay`, β₁
and β₂ are `b1` and `b2`, e is `eps`. With several queries x is the mean of theirs. v has the same
step with moments of its own, s z_v in the place of x. `views` says which leaves are matrices; all
are perturbed together.

What to know before tuning:
- Given U and V the mean of D in "plain" is not the gradient but its image under a fixed map of rank
  r, and W moves within r dimensions for the whole run, in "momentum" too. Division by the root
  leaves them. Averaged over (1), it is the gradient.
- What of the gradient lies outside these dimensions is never measured. Where most of it does, as in
  small models at a small r, division by the root may even turn the step uphill.
- Of (s Z)², entry by entry, the second moment of "adam" leaves out the products τ_s τ_p with s ≠ p,
  whose mean is 0.
- η of "plain" and "momentum" is about that of `zojax.mezo`, that of "adam" one of Adam's. As no
  bias is corrected, the first step of "adam" has entries of about (1 - β₁)/√(1 - β₂), 1 here.

Costs 2 K loss evaluations a step with K queries. Stores U and V, (m + n) r numbers a matrix, and a
and c, r numbers a matrix and one for each entry of the leaves that are no matrix; all float32.

Reference: arXiv:2501.19057 (TeZO). No official code was found, and the text could be read in parts
only, so what follows is assumed:
- The root in (2). The paper's Z lacks it, and divides by r where the estimate shall be unbiased: on
  matrices its ε is ours over √r, and its η ours over r.
- e inside the root, no correction of biases, β₁ = 0.9, β₂ = 0.99: with 0.999 the first steps would
  be three times as long.
- Vectors follow the rule of matrices, with dense noise.
- r is one number, clamped to the smaller side of a matrix. The paper takes ranks of blocks of
  layers from the singular values of their weights, 31.5 on average for OPT-13B; its rule is not
  established.

As in `zojax.mezo`, directions are drawn from (key, step, query, leaf path), and a loss that is not
finite makes the whole update zero, weight decay included, and leaves the moments alone.
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
    estimate_with_separable_adam,
    in_finite_steps,
    in_float32,
    scale_by_uncorrected_adam,
    skip_nonfinite,
    weight_decay_links,
)


def tezo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    rank: int = 32,
    variant: str = "adam",
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.99,
    eps: ArrayLike = 1e-8,
    views: Views = kernels_as_matrices,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """TeZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; the paper searches 3e-6 to 1e-4 for "adam".
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: K, at least 1.
      rank: r, at least 1.
      variant: "plain" (TeZO), "momentum" (TeZO-m) or "adam" (TeZO-Adam).
      b1: β₁, at least 0 and below 1.
      b2: β₂, at least 0 and below 1.
      eps: e, above 0.
      views: (path, leaf) -> which axes are rows (m) and columns, None for no matrix; see
        `zojax.MatrixView`. Under optax.inject_hyperparams name it in static_args.
      bits: random bits of a number of U, V, τ and z_v, 8, 16 or 32 (see `zojax.gaussian`); static
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
      ValueError: if a number is out of range, or for another variant; in `init` for a rank above
        the smaller side of every matrix, another number of bits, or a view that does not fit.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x["w"] - 1) ** 2) + jnp.sum(x["b"] ** 2)
      >>> x = {"b": jnp.ones(3), "w": jnp.zeros((2, 2))}
      >>> decay = optax.linear_schedule(0.03, 0.0, 300)
      >>> tx = zojax.tezo(decay, jax.random.key(0), rank=2)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 5.0)  # from 7
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.one_of(("plain", "momentum", "adam"), variant=variant)
    _checks.below_one(b1=b1, b2=b2)
    _checks.positive(eps=eps)
    sampler = factored(
        rank, core="diagonal", left_period=None, right_period=None, views=views, bits=bits
    )
    measured = {
        "accumulate": accumulate,
        "chunk_size": chunk_size,
        "axis_name": axis_name,
        "axes": axes,
    }
    estimator = central(radius, num_queries)
    average = None
    if variant == "momentum":
        average = optax.chain(optax.trace(b1), optax.scale(1 - b1))
    if variant == "adam":
        estimate = estimate_with_separable_adam(
            key, sampler, estimator, b1=b1, b2=b2, eps=eps, **measured
        )
        average = scale_by_uncorrected_adam(b1, b2, eps)
    else:
        estimate = estimate_gradient(key, sampler, estimator, inner=average, **measured)
    links = list(weight_decay_links(weight_decay, weight_decay_mask))
    if average is not None:
        links.insert(0, in_finite_steps(optax.masked(in_float32(average), vectors(views))))
    return skip_nonfinite(chain(estimate, *links, optax.scale_by_learning_rate(learning_rate)))
