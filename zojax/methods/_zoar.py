"""ZoAR: the average of recent losses as the baseline, and recent queries used again.

    y_{t,k} = f(x_t + μ z_{t,k}),    z_{t,k} ~ N(0, I),    k = 1...K                             (1)
    b_t = (1/n) Σ_{τ,k} y_{τ,k},     τ = t - B + 1 ... t,    B = min(t, N + 1),    n = B K       (2)
    ĝ_t = 1/(μ (n - δ)) Σ_{τ,k} (y_{τ,k} - b_t) z_{τ,k}                                          (3)
    x_{t+1} = x_t - η rule(ĝ_t),     t = 1, 2, ...                                               (4)

x is `params`, f is `value_fn`, shape (); μ is `radius`, K is `num_queries`, N is `history`, δ is
`ddof`, η is `learning_rate`, and `rule` is an optax link, R-AdaZO unless another is given.

Why it is right: take x + μ z for the action of a gaussian policy with mean x and f for its cost.
REINFORCE then estimates the gradient of the smoothed loss F(x) = E f(x + μ z) as
E[(f(x + μ z) - b) z] / μ, whatever b that does not depend on z; forward differences are the choice
b = f(x), number by number. A constant b costs the variance d (b - b*)² / (K μ²) over the best one,
b* = F(x) + (μ²/d) E[Δf(x + μ z)] in d dimensions. f(x) misses it by about μ² Δf/2 and (2) on
average by μ² Δf/d: that gain needs no history, and vanishes with μ. With N = 0 and δ = 1, (3) is
`zojax.leave_one_out`, which is unbiased for F; δ = 0 shrinks it by (n - 1)/n.

What reuse does: with z̄_τ and ȳ_τ the averages of step τ, and δ = 0,

    ĝ_t = (1/B) Σ_τ [ 1/(μ K) Σ_k (y_{τ,k} - ȳ_τ) z_{τ,k}  +  z̄_τ (ȳ_τ - b_t) / μ ]            (5)

a moving average of the estimates of single steps, and noise of squared length
Σ_τ (ȳ_τ - b_t)² d/(K μ² B²) on average. That noise wins where the loss moves by more than about
μ‖∇f‖ between steps: fast descent, a new batch, a small μ. Hence the large μ of the settings below;
`per_block` leaves the noise out, with ȳ_τ in the place of b_t and the divisor μ B (K - δ).

In antithetic pairs (y⁺ - b) z - (y⁻ - b) z every shared baseline cancels. What is left is the
average of the last N + 1 central estimates; it is the form that the official code runs on language
models, and `antithetic` here. `per_block` and `ddof` then have no say.

Costs K loss evaluations a step, 2 K in antithetic pairs, and (N + 1) K regenerated directions.
Stores (N + 1) K scalars, a few counters, the key and what `rule` stores (R-AdaZO: two trees).

Settings of the official code, all with b1 = 0.9, b2 = 0.99 and eps = 1e-8:

    test functions, d = 10⁴      μ = 0.05, K = 10, N = 5, η = 1e-3; R-AdaZO or ZO-AdaMM without max
    the same with plain descent  μ = 0.5
    attack on MNIST, d = 784     μ = 0.5, K = 2, N = 5, η = 0.01
    OPT with LoRA of rank 8      μ = 1e-2, one pair, N = 15 or 50, η = 5e-5; R-AdaZO that starts
                                 with `warmup_steps=30`

Reference: Qiu, Xie, Yan, Yang, Shu, "Zeroth-order optimization is secretly single-step policy
optimization", 2025, arXiv:2506.14460; the details are those of its released code.

Departures:
- The released code divides by n, later code of the authors by n - 1. The second is the default
  here, `ddof=0` is the first; to a rule that ignores scale it is all the same.
- Directions of earlier steps are drawn again, from (key, step, query, leaf path), not stored; nor
  do tensors of one shape share their noise, as in the official trainer of language models.
- The official code also evaluates f(x_t), to log it.
- A loss that is not finite is left out for as long as it is remembered. A step without any finite
  loss is not taken; in antithetic pairs one is enough for that. The window moves on regardless.
- The official trainer adds weight decay to ĝ; here it goes in front of the rule,
  `rule=optax.chain(optax.add_decayed_weights(λ), zojax.scale_by_r_adazo())`.
- `per_block` is not in the paper's code.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import (
    Estimator,
    averaged_baseline,
    central,
    chain,
    estimate_gradient,
    moving_average,
)
from zojax.samplers import Sampler, gaussian
from zojax.transforms import scale_by_r_adazo, skip_nonfinite, weight_decay_links


def zoar(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 0.05,
    num_queries: int = 10,
    history: int = 5,
    per_block: bool = False,
    ddof: int = 1,
    antithetic: bool = False,
    rule: optax.GradientTransformation = scale_by_r_adazo(),
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZoAR; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: μ, above 0; not small, see (5).
      num_queries: K, at least 1: losses a step, or with `antithetic` pairs of them.
      history: N, earlier steps that are used again, at least 0.
      per_block: a baseline for each step, for losses that jump from step to step.
      ddof: δ, 1 or 0.
      antithetic: measures pairs f(x ± μ z), and averages the central estimates of N + 1 steps.
      rule: links between the estimate and the learning rate, optax.identity() for plain descent.
      sampler: the law of z; one whose directions can be drawn again (not one that learns).
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range; if a loss would be its own baseline, K = 1 with N = 0
        or `per_block`; if the sampler learns; in `update` if a restored state has other lengths.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x - 1) ** 2)
      >>> x = jnp.zeros(20)
      >>> tx = zojax.zoar(0.01, jax.random.key(0))
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
    _checks.flag(antithetic=antithetic)
    _checks.instance(optax.GradientTransformation, "zojax.scale_by_r_adazo()", rule=rule)
    if antithetic:
        estimator = _of_pairs(radius, num_queries, history)
    else:
        estimator = averaged_baseline(radius, num_queries, history, per_block, ddof)
    return skip_nonfinite(
        chain(
            estimate_gradient(
                key,
                sampler,
                estimator,
                accumulate=accumulate,
                chunk_size=chunk_size,
                axis_name=axis_name,
                axes=axes,
            ),
            rule,
            *weight_decay_links(weight_decay, weight_decay_mask),
            optax.scale_by_learning_rate(learning_rate),
        )
    )


def _of_pairs(radius: ArrayLike, num_queries: int, history: int) -> Estimator:
    _checks.at_least(0, history=history)
    pairs = central(radius, num_queries)
    return moving_average(pairs, history) if history else pairs
