"""GRZO: a direction for each example of a batch, at the cost of one pair of its losses.

    z_k = U ∘ (s_k t_kᵀ),    U ~ N(0, I),    s_k, t_k uniform signs,    k = 1...K                (1)
    δ_k = f_k(x + ε z_k) - f_k(x - ε z_k)                                                        (2)
    a_k = δ_k / (σ + ϵ),    σ² = (1/K) Σ_k (δ_k - mean δ)²                                       (3)
    ĝ   = 1/(2 ε K) Σ_k a_k z_k,    x ← x - η (ĝ + λ x)                                          (4)

x is `params`; f_k is `value_fn` of the k-th of K equal parts of the arguments named `divided`,
shape (), with K = `num_queries` = the size of the batch an example each; ε is `radius`, ϵ is
`epsilon`, η is `learning_rate` and λ is `weight_decay`. Of vectors z_k is u ∘ s_k.

What to know before tuning:
- Given the weights, directions of examples are uncorrelated (flipout), so with E[σ²] ≈ 4 ε² ‖∇f‖²
  for examples that agree the mean of ĝ is about ∇f / (2 ε ‖∇f‖): η is 2 ε times a length.
- A number added to the loss, or a factor above 0, changes nothing. No mean is subtracted from δ, so
  examples that agree add up. Where they do not, σ is larger and the step shorter.
- Factored directions are as cheap for each example, and need no second product. In the span of a
  layer's inputs, `sampler=zojax.activation_guided(8)`, they are `zojax.agzo`'s, one for each
  example, at 3 losses of the batch. No paper has that; on the shipped reviews it was ahead of both
  (docs/methods.md).
- K directions at the batch of one pair lower the variance of ĝ about K times where examples agree.

Costs 2 losses of the whole batch a step: 2 K of a K-th each. A product with a weight is two, with W
and with U, so these take about twice as long as those of MeZO. Stores K scalars, three counters and
the key.

Reference: arXiv:2606.02857 (GRZO), of which the abstract and quotations were read; flipout is that
of arXiv:1803.04386.

Departures:
- Not established: whether σ in (3) is of the population or of the sample, and ϵ; here the first,
  and 1e-8.
- Signs go along the last two axes of a leaf, those before them being a batch of matrices with signs
  of their own. Biases of a stack of layers are read as a matrix.
- Where all δ are equal σ is 0, and nothing moves.
- Without arguments to divide (`divided=()`) every direction sees the whole loss.
- As in `zojax.mezo`, directions are drawn from (key, step, query, leaf path), and a loss that is
  not finite makes the whole update zero, weight decay included.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, standardized_central
from zojax.samplers import Sampler, flipped
from zojax.transforms import skip_nonfinite, weight_decay_links


def grzo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 16,
    divided: tuple[str, ...] = ("batch",),
    epsilon: ArrayLike = 1e-8,
    sampler: Sampler = flipped(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int | None = None,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """GRZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: K, at least 2, a divisor of the examples of a batch.
      divided: names of arguments of `value_fn`, trees whose arrays have the examples along their
        first axis; `value_fn` is a mean over them.
      epsilon: ϵ, at least 0.
      sampler: the law of z; `zojax.flipped(noise)`, or `zojax.activation_guided(r)`, see above.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; None: all of them, which takes the memory of
        the batch.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range; in `update` if an argument of `divided` is missing or
        has no K equal parts.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> def value_fn(x, batch):
      ...     return jnp.mean((batch @ x - batch.sum(1)) ** 2)
      >>> batch = jax.random.normal(jax.random.key(1), (32, 10))
      >>> x = jnp.zeros(10)
      >>> tx = zojax.grzo(optax.linear_schedule(2e-3, 0.0, 200), jax.random.key(0), radius=1e-2)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn, batch=batch)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(200):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x, batch) < 0.1)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    estimate = estimate_gradient(
        key,
        sampler,
        standardized_central(radius, num_queries, epsilon),
        accumulate=accumulate,
        chunk_size=num_queries if chunk_size is None else chunk_size,
        divided=divided,
        read_once=True,
        axis_name=axis_name,
        axes=axes,
    )
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(estimate, *decay, optax.scale_by_learning_rate(learning_rate)))
