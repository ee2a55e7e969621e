"""ZO-AdaMU: the momentum is in the direction that is measured, not in the update.

    ż = √α n,    z̈ = m_{t-1} + √(1 - α) n',    n, n' ~ N(0, I)                                  (1)
    m_t = b₁ ż + (1 - b₁) z̈,    v = b₂ ż² + (1 - b₂) z̈²
    (2) s = [f(x + ε m_t) - f(x - ε m_t)] / (2 ε)
    (3) x ← x - η (s m_t / √(v + 1e-8) + λ x)
    (4)

x is `params`, f is `value_fn`, shape (); ε is `radius`, η `learning_rate`, λ `weight_decay`. α, b₁
and b₂ are 1 for `warmup_steps`, then fall to `alpha`, `b1` and `b2` along half a cosine of
`anneal_steps`.

What to know before tuning:
- In the warm-up m_t = n and v = n²: it measures along n and steps along s sgn(n), ‖u‖ = |s| √d,
  which is downhill on average, E[n sgn(n)ᵀ] = √(2/π) I.
- m is a moving sum of noise. It does not depend on what was measured, so no loss is fed back; a
  direction is correlated with those before it, and measured on other batches.
- With b₂ = 0.01 and b₁ = 0.9, v is nearly z̈², ten times as far spread as what m is mostly made of:
  entries in which z̈ is small take large steps, up to 10⁴ s m. Small η, or clipping, may be needed.

Costs 2 loss evaluations a step. Stores m, a float32 tree like params (4 bytes a weight), 4 numbers,
three counters and the key.

Settings of the paper: α = 0.5, b₁ = 0.9, b₂ = 0.01, ε = 1e-3; of its code: a warm-up of 1024 steps,
and the constants from 0.8 of all steps on, which is 15,000 later in runs of 20,000.

Reference: Jiang, Chen, Pan, Ding, Zhang, Li, Yang, Liu, "ZO-AdaMU Optimizer: Adapting Perturbation
by the Momentum and Uncertainty in Zeroth-order Optimization", AAAI 2024, arXiv:2312.15184; official
code MathIsAll/ZO-AdaMU.

Departures:
- One m is measured along and applied. The code perturbs with fixed weights and updates with
  annealed ones, another vector, and keeps sgn(s) m as history; it does not run as it is.
- The printed argument of the cosine does not begin at the start of the annealing; half a cosine
  from 1 to the constants is meant here, for all three alike (the paper has a factor φ for each).
- v is not squared, as in the algorithm; a line of the text has v².
- A loss that is not finite makes the whole update zero, weight decay included, and leaves m alone.

Not established: which b₂, 0.01 (text) or 0.9 (an equation), the paper's runs had.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import annealed
from zojax.transforms import skip_nonfinite, weight_decay_links


def zo_adamu(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    alpha: ArrayLike = 0.5,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.01,
    warmup_steps: int = 1024,
    anneal_steps: int = 15_000,
    bits: int = 8,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZO-AdaMU; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      alpha: α at the end, from 0 to 1.
      b1: b₁ at the end, from 0 to 1.
      b2: b₂ at the end, from 0 to 1.
      warmup_steps: steps before annealing, at least 0.
      anneal_steps: steps of annealing, at least 1.
      bits: random bits of a number of n, 8, 16 or 32 (see `zojax.gaussian`).
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x - 1) ** 2)
      >>> x = jnp.zeros(20)
      >>> decay = optax.linear_schedule(0.02, 0.0, 400)
      >>> tx = zojax.zo_adamu(decay, jax.random.key(0), warmup_steps=200, anneal_steps=200)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(400):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 1.0)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    sampler = annealed(
        alpha=alpha,
        b1=b1,
        b2=b2,
        warmup_steps=warmup_steps,
        anneal_steps=anneal_steps,
        bits=bits,
    )
    links = chain(
        estimate_gradient(
            key,
            sampler,
            central(radius),
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        ),
        *weight_decay_links(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return skip_nonfinite(links)
