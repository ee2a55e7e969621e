"""MeZO-BCD: MeZO on one block of the weights at a time, at the cost of one block.

The leaves of x, or slices of them, are divided into N blocks; in step t block j is active:

    j = order(⌊t / K⌋)                                                                           (1)
    z_k ~ N(0, I) on block j, 0 elsewhere,  k = 1...n                                            (2)
    s_k = [f(x + ε z_k) - f(x - ε z_k)] / (2 ε)                                                  (3)
    x_j ← x_j - η [(1/n) Σ_k s_k z_k + λ x_j];    all other blocks keep every bit                (4)

x is `params`, f is `value_fn`, shape (); ε is `radius`, n is `num_queries`, K is `hold`, η is
`learning_rate` and λ is `weight_decay`, on the leaves that `weight_decay_mask` names. `labels` says
what the blocks are, `order` whose turn it is. For ε → 0 and given j, the mean of ĝ in (4) is the
gradient on block j, and E‖ĝ‖² = (d_j + n + 1)/n ‖∇_j f‖² with the d_j entries of the block.

What to know before tuning:
- If all blocks are active equally often, the mean of ĝ is 1/N of the gradient, while the power of
  its noise is about 1/N² of MeZO's: at MeZO's η progress is N times slower. The ratio of noise to
  progress is that of MeZO at η = N η_MeZO. Try 1, 3, 10 and N times a good η of MeZO.
- What is saved is noise and update, not the loss evaluations. If those two take the share φ of a
  MeZO step, a step is up to 1/(1 - φ (1 - 1/N)) times faster: most for short sequences, small
  batches, large models and gaussian z. On a CPU the points of a pair also share what comes before
  the active block: whole layers of a scan, and of a list of layers the products with weights.

Costs 2 n loss evaluations a step, and noise for one block. Stores n + 1 scalars, four counters and
the key; no order is stored, since (1) depends on the key and t alone.

Reference: Park, Yun, Kim, Kundu, Yang, "Elucidating Subspace Perturbation in Zeroth-Order
Optimization: Theory and Practice at Scale", arXiv:2501.19099 (v1: "Unraveling Zeroth-Order
Optimization through the Lens of Low-Dimensional Structured Perturbations").

What is known of it here: the abstracts (perturb and update a subset of the weights in each step; up
to 2.09 times MeZO's speed in v1, 2.77 with OPT-13B in v2). No official code was found, and the text
of the paper could not be read, so what follows is assumed:
- One query and a central difference, as MeZO; (4) is block coordinate descent with that estimate.
- Blocks are the layers, the embeddings, and the rest (last norm, untied head): the groups that
  arXiv:2305.17333, App. B.3, measures gradient norms of. All leaves of a block are treated alike.
- Order "permutation": every block once in each cycle, shuffled anew. "flip_flop" goes 0...N-1,
  N-1...0, so the blocks at the ends are active twice in a row.
- η, ε and the number of steps of the paper are not known; ε = 1e-3 is MeZO's.

As in `zojax.mezo`, directions are drawn row by row from (key, step, query, leaf path), queries
share a batch, a loss that is not finite makes the whole update zero, and other laws of z are
offered.
"""

from collections.abc import Sequence
from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, estimate_gradient
from zojax.samplers import Labels, Sampler, blocks, gaussian, layer_blocks
from zojax.transforms import weight_decay_links


def mezo_bcd(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    labels: Labels = layer_blocks(),
    order: str | Sequence[int] = "permutation",
    hold: int = 1,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """MeZO-BCD; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule of the steps of the run; up to N times that of
        `zojax.mezo` with N blocks.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: n, at least 1.
      labels: a tree like params with the label of each leaf's block (`zojax.Slices` for a leaf that
        has a slice in each of several), or a function from params to one; see
        `zojax.layer_blocks`. Under optax.inject_hyperparams name it in static_args.
      order: "permutation", "cyclic", "descending", "random", "flip_flop", or block numbers to go
        through again and again; see `zojax.blocks`.
      hold: K, at least 1.
      sampler: the law of z, `zojax.gaussian()` or `zojax.rademacher()`.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range or the order unknown; in `init` if labels do not fit
        params, the order names a block that is not there, or the sampler keeps something.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum(x["first"] ** 2) + jnp.sum((x["second"] - 1) ** 2)
      >>> x = {"first": jnp.ones(2), "second": jnp.zeros(2)}
      >>> labels = {"first": 0, "second": 1}
      >>> tx = zojax.mezo_bcd(0.05, jax.random.key(0), labels=labels)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(200):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 1e-2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    # The links see the active block alone: decay moves nothing else.
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    directions = blocks(sampler, labels, order=order, hold=hold)
    estimator = central(radius, num_queries)
    inner = optax.chain(*decay, optax.scale_by_learning_rate(learning_rate))
    return estimate_gradient(
        key,
        directions,
        estimator,
        inner=inner,
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )
