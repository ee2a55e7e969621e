"""MeZO-SVRG: MeZO, with what batches differ by measured at an anchor as well, and taken out.

A cycle begins with the anchor: A steps at one point x̄, each with a batch B, which together are the
full batch, or a large one. Along the same directions z̄ in all of them,

    z̄_k ~ N(0, I),    c̄_k = mean over the A batches of s_k(x̄, z̄, B),    k = 1...n               (1)
    x ← x - η (a/n Σ_k c̄_k z̄_k + λ x)  in the last of them;  x stays in the others              (2)

with s_k(x, z, B) = [f_B(x + ε z_k) - f_B(x - ε z_k)] / (2 ε). Then q - 1 steps of one batch each:

    z_k ~ N(0, I),    d_k = s_k(x, z, B) - s_k(x̄, z, B)                                          (3)
    x ← x - η (1/n Σ_k d_k z_k + 1/n Σ_k c̄_k z̄_k + λ x)                                          (4)

x is `params`, f_B is `value_fn` with the batch of the step, shape (); ε is `radius`, n is
`num_queries`, η is `learning_rate`, λ is `weight_decay`, q is `interval`, A is `anchor_batches` and
a is `anchor_scale`: the paper's η₁ is a η, and its η₂ is η.

What to know before tuning:
- All data in one batch: A = 1, and hand them over in step t where t mod q = 0. In parts: A of them.
  Where A batches are a small share of the data, what they have in common stays in c̄ for a cycle.
- (3) takes out the noise of batches alone. Where batch losses are quadratics that differ in their
  linear terms it is gone: d does not depend on B. The noise of directions stays as it is in MeZO.
- Most of a cycle goes along z̄: once with a η, and q - 1 times with η. What corresponds to the
  learning rate of MeZO is about their sum, (a + q - 1) η.
- For q = 1 and A = 1 it is MeZO with the learning rate a η.

Costs 2 n loss evaluations in a step of the anchor, 4 n in one of (4): for each update of x on
average [2 A + 4 (q - 1)] n / q. Stores x̄, a copy of params in their dtype, 2 n scalars and
counters: z̄ is drawn again, so noise is drawn once more than by MeZO.

Settings of the paper's code: q = 2, ε = 1e-3, batches of 64, η₁ from 1e-5 to 1e-4 and η₂ from 1e-6
to 1e-5 on RoBERTa-large.

Reference: Gautam, Park, Zhou, Raman, Ha, "Variance-reduced Zeroth-Order Methods for Fine-Tuning
Language Models", ICML 2024, arXiv:2404.08080, and its official code, amazon-science/mezo_svrg.

Departures:
- The anchor is taken in steps of the run, each with its batch, not by a pass over the data inside a
  step: a step has one loss, and its cost is bounded.
- Both slopes of (3) have the same z, without which their difference reduces nothing. The official
  code draws two, and its x̄ is the list of the params that it trains: its (3) is noise.
- The official code lowers the learning rates where the average loss rises; here a schedule does, or
  `optax.contrib.reduce_on_plateau` in a chain of your own.
- A loss that is not finite makes the whole update zero, weight decay included; c̄ is the mean over
  the other batches.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain
from zojax.samplers import Sampler, gaussian
from zojax.transforms import (
    estimate_with_anchor,
    in_steps,
    rests_at_anchor,
    skip_nonfinite,
    weight_decay_links,
)


def mezo_svrg(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    interval: int = 2,
    anchor_batches: int = 1,
    anchor_scale: ArrayLike = 1.0,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """MeZO-SVRG; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule, which counts all steps.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: n, at least 1.
      interval: q, at least 1.
      anchor_batches: A, at least 1; see above.
      anchor_scale: a, at least 0.
      sampler: the law of z, one that does not learn.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, or the sampler learns.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> data = jnp.array([[1.0, 8.0], [-3.0, 2.0], [2.0, -4.0]])  # of mean (0, 2)
      >>> value_fn = lambda x, batch: jnp.sum((x - batch) ** 2)
      >>> x = jnp.array([4.0, -3.0])
      >>> tx = zojax.mezo_svrg(0.02, jax.random.key(0), interval=6, anchor_batches=3)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state, batch):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn, batch=batch)
      ...     return optax.apply_updates(x, updates), state
      >>> for t in range(400):
      ...     x, state = step(x, state, data[t % 3])
      >>> bool(jnp.linalg.norm(x - jnp.array([0.0, 2.0])) < 1e-2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    estimate = estimate_with_anchor(
        key,
        sampler,
        central(radius, num_queries),
        interval=interval,
        anchor_batches=anchor_batches,
        anchor_scale=anchor_scale,
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )
    decay = [
        in_steps(link, lambda step: ~rests_at_anchor(step, interval, anchor_batches))
        for link in weight_decay_links(weight_decay, weight_decay_mask)
    ]
    return skip_nonfinite(chain(estimate, *decay, optax.scale_by_learning_rate(learning_rate)))
