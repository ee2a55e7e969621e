"""FZOO: one-sided differences along packed signs, over the spread of the losses; FZOO-R.

    u_k ~ uniform on {-1, 1}^d,    l_k = f(x + ε u_k) - f(x),    k = 1...N                       (1)
    σ² = Σ_k (l_k - mean l)² / (N - δ)                                                           (2)
    ĝ  = (1/N) Σ_k l_k u_k / σ,    x ← x - η (ĝ + λ x)                                           (3)

x is `params`, f is `value_fn`, shape (); ε is `radius`, N is `num_queries`, δ is `ddof`, η is
`learning_rate` and λ is `weight_decay`. FZOO-R (`reuse`) takes N new differences and those of the
step before for (2): with half the N it has as many.

What to know before tuning:
- On a linear loss E[σ²] = ε² ‖∇f‖², so ĝ is the estimate of the gradient over the gradient's norm:
  descent whose steps have the length η √((d + N - 1)/N) whatever the loss and its scale. There is
  no annealing but that of η.
- The paper has l_k/ε in (3); its η is ε times this one. The official code's is this one: 5e-5 with
  ε = 1e-4 on OPT-13B.
- A number added to the loss, or a factor above 0, changes nothing; nor, on a linear loss, does ε.
- Where all losses are equal (accuracy as the loss, say) σ is 0, and nothing moves.

Costs N + 1 loss evaluations a step. Stores N scalars, three counters and the key; FZOO-R N more.

Reference: arXiv:2506.09034 (FZOO), and its official code, DKmiyan/FZOO.

Departures:
- δ = 1, as the paper prints (2); the official code has δ = 0, with steps √(N/(N - 1)) longer.
- The paper derives the length of a step from σ² = ε² ‖ĝ‖² (N - 1)/N, which does not hold for single
  samples; what holds is the mean above.
- FZOO-R in the official code never fills the losses that it would use again. Here those of the step
  before enter by their differences to their own f(x): another batch moves all of them alike, and
  their σ is not to measure that. Before the second step (2) has the N of the first alone.
- The official code also has a form that evaluates all N points in one product of matrices; it does
  not run. `chunk_size` is that here.
- As in `zojax.mezo`, directions are drawn from (key, step, query, leaf path), and a loss that is
  not finite makes the whole update zero, weight decay included.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, standardized_forward
from zojax.samplers import Sampler, rademacher
from zojax.transforms import skip_nonfinite, weight_decay_links


def fzoo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 8,
    ddof: int = 1,
    reuse: bool = False,
    sampler: Sampler = rademacher(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """FZOO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; 5e-5 in the official runs with OPT-13B.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: N, at least 2; with `reuse` at least 1.
      ddof: δ, 1 or 0.
      reuse: FZOO-R; num_queries=4 is then the setting of the paper.
      sampler: the law of u.
      weight_decay: λ, at least 0.
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
      >>> x = jnp.zeros(10)
      >>> tx = zojax.fzoo(optax.linear_schedule(0.1, 0.0, 200), jax.random.key(0))
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
    _checks.learning_rate(learning_rate=learning_rate)
    estimate = estimate_gradient(
        key,
        sampler,
        standardized_forward(radius, num_queries, ddof, reuse),
        accumulate=accumulate,
        chunk_size=chunk_size,
        read_once=True,
        axis_name=axis_name,
        axes=axes,
    )
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(estimate, *decay, optax.scale_by_learning_rate(learning_rate)))
