"""ZO-MOPI: ZO-Muon with a power iteration in the place of Newton-Schulz, and momentum of cores.

For every matrix W, m by n, among `params`, and every other leaf v:

    P   = Q of a gaussian m by r matrix, with the uniform law;  drawn anew every T steps         (1)
    U_i ~ N(0, 1), r by n,    z_i ~ N(0, I),    i = 1...N                                        (2)
    c_i = [f(W + ε P U_i, v + ε z_i) - f(W, v)] / ε          (central difference if N = 1)       (3)
    M   ← β M + (1 - β) (1/N) Σ_i c_i U_i,    ĝ_v = (1/N) Σ_i c_i z_i                            (4)
    V   ← Q of Mᵀ (M V),    L = the columns of M V over their lengths                            (5)
    W   ← W - η (P L Vᵀ + λ W),    v ← v - η₁ (ĝ_v + λ v)                                        (6)

f is `value_fn`, shape (); r is `rank`, T is `period`, N is `num_queries`, ε is `radius`, β is
`momentum`, η is `learning_rate`, η₁ is `learning_rate_1d` and λ is `weight_decay`. V has k
`components`, n by k; it and M begin anew with P. `views` says which leaves are matrices and which
axes their rows.

What to know before tuning:
- (5) is one round of `zojax.power_iteration` a step. If M stayed, L Vᵀ would tend to msign of its
  best approximation of rank k. As M is noise for the most part and new in each step with β = 0, V
  lags behind, and is a filter: what M has along it again and again is what is applied.
- The step of a matrix has the length η √k, whatever the loss, its scale, ε or N: there is no
  annealing but that of η. Decay it.
- The other leaves follow plain zeroth-order SGD, with an η₁ that goes with the scale of the loss.

Costs N + 1 loss evaluations a step, 2 if N = 1. Stores P, m r numbers a matrix, V, n k, and with β
above 0 also M, r n; all float32.

Reference: arXiv:2605.09034 (ZO-MOPI), and its official code, MOFA-LAB/ZO-MOPI.

Departures:
- The official code draws P in the first of the calls that perturb alone, so in steps that draw P
  what is restored, and the core that is kept, are of another stream: the weights drift by
  ε P (U - U'). Here the factors have keys of their own.
- The first V is not established here: it is made of the first k rows of M.
- β = 0 is the default of the official script; the paper's text speaks of momentum.
- Those of `zojax.zo_muon` that concern leaves, dtypes, η₁ (1e-7 in the code) and weight decay.
- A loss that is not finite makes the whole update zero, weight decay included, and leaves M and V
  alone.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient, forward
from zojax.samplers import Views, factored, last_axis_rows, matrix_or_other
from zojax.transforms import power_iteration, skip_nonfinite, weight_decay_links


def zo_mopi(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    learning_rate_1d: optax.ScalarOrSchedule = 1e-7,
    radius: ArrayLike = 1e-3,
    num_queries: int = 4,
    rank: int = 64,
    period: int | None = 500,
    components: int = 32,
    momentum: ArrayLike = 0.0,
    views: Views = last_axis_rows,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZO-MOPI; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; 5e-3 to 1e-2 in the official script. Decay it.
      key: a typed key; that of JAX's default generator draws the fastest.
      learning_rate_1d: η₁, a number or a schedule, for the leaves that are no matrices; of the size
        that `zojax.mezo` would take.
      radius: ε, above 0.
      num_queries: N, at least 1; 4 to 8.
      rank: r, at least 1.
      period: T, at least 1; None keeps P for the run.
      components: k, at least 1; at most r counts.
      momentum: β, at least 0 and below 1.
      views: (path, leaf) -> which axes are rows (m) and columns, None for no matrix; see
        `zojax.zo_muon`. Under optax.inject_hyperparams name it in static_args.
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
      >>> tx = zojax.zo_mopi(decay, jax.random.key(0), learning_rate_1d=0.02, rank=2, period=10)
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
    _checks.learning_rate(learning_rate=learning_rate, learning_rate_1d=learning_rate_1d)
    _checks.at_least(1, num_queries=num_queries)
    _checks.below_one(momentum=momentum)
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
    is_plain = isinstance(momentum, (int, float)) and momentum == 0
    # Without the factor 1 - β of (4): (5) loses the scale.
    average = optax.identity() if is_plain else optax.trace(momentum)
    one = num_queries == 1
    estimate = estimate_gradient(
        key,
        sampler,
        central(radius) if one else forward(radius, num_queries),
        inner=optax.chain(average, power_iteration(components)),
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )
    rates = {"matrix": learning_rate, "other": learning_rate_1d}
    scale = {kind: optax.scale_by_learning_rate(rate) for kind, rate in rates.items()}
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(estimate, *decay, optax.partition(scale, matrix_or_other(views))))
