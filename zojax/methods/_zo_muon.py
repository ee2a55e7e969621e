"""ZO-Muon: Muon's orthogonalized step, in a random subspace of every matrix.

For every matrix W, m by n, among `params`, and every other leaf v:

    P   = Q of a gaussian m by r matrix,  signs fixed;  drawn anew every T steps                 (1)
    U_i ~ N(0, 1), r by n,    z_i ~ N(0, I),    i = 1...N                                        (2)
    c_i = [f(W + ε P U_i, v + ε z_i) - f(W, v)] / ε          (central difference if N = 1)       (3)
    ĝ   = (1/N) Σ_i c_i U_i,    ĝ_v = (1/N) Σ_i c_i z_i                                          (4)
    W   ← W - η (P msign(ĝ) + λ W),    v ← v - η₁ (ĝ_v + λ v)                                    (5)

f is `value_fn`, shape (); r is `rank`, at most min(m, n); T is `period`, N `num_queries`, ε
`radius`, η `learning_rate`, η₁ `learning_rate_1d`, λ `weight_decay`; msign(U S Vᵀ) = U Vᵀ, or what
`orthogonalization` makes of ĝ. `views` says which leaves are matrices and which axes their rows;
all are perturbed together. For ε → 0 the mean of ĝ given P is Pᵀ ∇f; averaged over P too, P ĝ is
r/m times the gradient. As PᵀP = I, msign(P ĝ) = P msign(ĝ): the small matrix is orthogonalized.

What to know before tuning:
- The step of a matrix has the length η √r (0.7 η √r with Newton-Schulz), whatever the loss, its
  scale, ε or N: there is no annealing but that of η. Decay it.
- The other leaves follow plain zeroth-order SGD. η₁ therefore goes with the scale of the loss, and
  is many orders of magnitude smaller than η, which would ruin biases and norms.
- N = 1 keeps of c only its sign. For r ≪ n the singular values of ĝ, noise for the most part, are
  nearly equal, and msign is close to dividing each matrix by its norm.
- Dense of an embedding that a batch does not contain move too, P U being dense.

Costs N + 1 loss evaluations a step, 2 if N = 1. Stores P, m r numbers a matrix, float32. U is drawn
one query (or chunk) after another, and once more for the update.

Reference: arXiv:2602.17155 (ZO-Muon) and its official code, OPTML-Group/ZO-Muon.

Departures:
- P is drawn once a refresh, with its own key. The official code draws it in every perturbation of a
  refresh step, so that all queries but the last are measured along another P than they are applied
  with; its vision code restores the weights along another direction than it perturbed them with.
- All of (4) and (5) up to the last cast is float32 (wider for wider weights), the official code's
  Newton-Schulz fp16 or bf16: there ‖ĝ‖ overflows for large losses, silently without a step.
- P has min(r, m, n) columns where a matrix is narrow; the official code of language models fails if
  m < r, that of vision models takes min(r, m).
- Stacked layers are a batch of matrices. The vision code flattens leaves of more than two axes into
  one matrix, a class token into a row; give such leaves a view.
- m is the last axis of a kernel (in, out), as it is the first of a PyTorch weight. Of embeddings
  (vocabulary, features) the last axis is the other side than the official code's; a view with rows
  (0,) and columns (1,) is that. Biases and scales are no matrices, also where layers are stacked.
- η₁ is an argument; 1e-7, the default, is a constant of the code for language models, 1e-4 of that
  for vision models.
- Weight decay is off by default and on all leaves that the mask names, with the leaf's own rate.
- Queries are counted in loss evaluations: "4 queries" of the paper are 5 here, and were 5 there.
- There is no momentum, no factor for the shape of a matrix and none for the rank, as in the
  official code; some ports have them.
- A loss that is not finite makes the whole update zero, weight decay included.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient, forward
from zojax.samplers import Views, factored, last_axis_rows, matrix_or_other
from zojax.transforms import orthogonalize, skip_nonfinite, weight_decay_links


def zo_muon(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    learning_rate_1d: optax.ScalarOrSchedule = 1e-7,
    radius: ArrayLike = 1e-3,
    num_queries: int = 4,
    rank: int = 64,
    period: int | None = 100,
    orthogonalization: optax.GradientTransformation = orthogonalize(),
    views: Views = last_axis_rows,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZO-Muon; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Embeddings, or anything else, follow the rule for vectors if the view says that they are none:

        def views(path, leaf):
            if "embed" in jax.tree_util.keystr(path):
                return None
            return zojax.last_axis_rows(path, leaf)

    Args:
      learning_rate: η, a number or a schedule; 1e-2 in the paper's runs, constant. Decay it.
      key: a typed key; that of JAX's default generator draws the fastest.
      learning_rate_1d: η₁, a number or a schedule, for the leaves that are no matrices; of the size
        that `zojax.mezo` would take.
      radius: ε, above 0.
      num_queries: N, at least 1; 4 for language models, 16 for images.
      rank: r, at least 1.
      period: T, at least 1; None keeps P for the run.
      orthogonalization: links for ĝ, which is a tree like params of r by n matrices:
        `zojax.orthogonalize("polar")`, or optax.identity() for what the paper calls Subspace-MeZO.
        Their state is started anew with every P.
      views: (path, leaf) -> which axes are rows (m) and columns, None for no matrix; see
        `zojax.MatrixView`, `zojax.last_axis_rows` and `zojax.smaller_side`. Under
        optax.inject_hyperparams name it in static_args.
      bits: random bits of a number of U and z, 8, 16 or 32 (see `zojax.gaussian`); static there
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
      >>> decay = optax.linear_schedule(0.1, 0.0, 200)
      >>> tx = zojax.zo_muon(decay, jax.random.key(0), learning_rate_1d=0.02, rank=2, period=10)
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
    _checks.learning_rate(learning_rate=learning_rate, learning_rate_1d=learning_rate_1d)
    _checks.at_least(1, num_queries=num_queries)
    if period is not None:
        _checks.at_least(1, period=period)
    sampler = factored(
        rank,
        left="haar",
        core="gaussian",
        right="identity",
        left_period=period,
        scale=1.0,
        views=views,
        bits=bits,
    )
    one = num_queries == 1
    estimator = central(radius) if one else forward(radius, num_queries)
    links = [
        estimate_gradient(
            key,
            sampler,
            estimator,
            inner=orthogonalization,
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        )
    ]
    rates = {"matrix": learning_rate, "other": learning_rate_1d}
    scale = {kind: optax.scale_by_learning_rate(rate) for kind, rate in rates.items()}
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(*links, *decay, optax.partition(scale, matrix_or_other(views))))
