"""EGGROLL: evolution strategies along products of thin factors; with dense directions, OpenES.

For every matrix W, m by n, among `params`, and every other leaf v, N points of a population:

    E_k = A_k B_kᵀ / √r,    A_k ~ N(0, 1), m by r,    B_k ~ N(0, 1), n by r,    z_k ~ N(0, I)    (1)
    f_k± = f(W ± σ E_k, v ± σ z_k),    k = 1...K,    N = 2 K                                     (2)
    s = scores of the N losses                                                                   (3)
    G = (1/N) Σ_k (s_k+ - s_k-) E_k,    G_v = (1/N) Σ_k (s_k+ - s_k-) z_k                        (4)
    W ← W - η [rule(G) + λ W],    v ← v - η [rule(G_v) + λ v]                                    (5)

f is `value_fn`, shape (), which is minimized here as everywhere; r is the rank of `sampler`, K is
`num_queries`, σ is `radius`, η is `learning_rate`, λ is `weight_decay`, and `rule` is an optax
link. Without `antithetic` each direction has one point, N = K. `fitness` says what the scores are,
see `zojax.fitness_shaped`: "zscore" over the population, "rank", "sign" of each pair, or
"centered", with which (4) is an estimate of the gradient and of no unit otherwise.

What to know before tuning:
- With scores of size 1 that say nothing, an entry of G has the size 1/√N, whatever σ and the loss
  are: η is a length, to be divided by ten if N grows by 100 and the signal does not.
- The factor 1/σ of the score function is in η, as in the paper. The official code multiplies (4) by
  σ √N: its learning rate is ours over σ √N.
- An entry of E has unit variance and the kurtosis 3 + 6/r. E‖(G : E) E‖² on one matrix is
  mn + 2 + 2 (m + n + 1)/r times ‖G‖²: little more than a gaussian direction has, also with r = 1.
- With K = 1 and "centered" it is MeZO along E.

The points of a step share one product with W: `chunk_size` of the directions are evaluated side by
side, (1) as x A and x B beside it.

Costs N loss evaluations a step. Stores K + 1 scalars, three counters, the key and what `rule`
stores; factors are drawn, (m + n) r numbers a matrix and direction.

Settings: σ = 1e-3, r = 1 and 1024 points of language models with plain descent in the paper;
`sampler=zojax.gaussian(), fitness="rank", rule=optax.scale_by_adam()` is OpenES.

Reference: arXiv:2511.16652 (EGGROLL), ICML 2026, and its official code, ESHyperscale/HyperscaleES;
Salimans et al., arXiv:1703.03864 (OpenES).

Departures:
- Each point sees the whole batch. In the paper a point sees one prompt, and groups are those of a
  prompt; `num_groups` of successive directions have a mean of their own here, and nothing else.
- The official code divides by the root of a variance plus 1e-5, made for rewards of size 1; losses
  at a small σ differ by less. Here nothing is added, and equal losses give no step.
- Leaves that are no matrix are perturbed, embeddings too, with dense noise or as matrices. The
  official code freezes vectors of language models by default, and embeddings always.
- Directions are new in each step. The official code can keep them for several, and by default it
  keeps them for ever.
- Keys go with the paths of leaves, so another leaf changes no direction.
- A loss that is not finite makes the whole update zero, weight decay included, and leaves `rule`
  alone. (Ranks could do without one point; the official code ranks none.)
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, fitness_shaped
from zojax.samplers import Sampler, factored
from zojax.transforms import in_finite_steps, skip_nonfinite, weight_decay_links


def eggroll(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 16,
    antithetic: bool = True,
    fitness: str = "zscore",
    num_groups: int = 1,
    rule: optax.GradientTransformation = optax.identity(),
    sampler: Sampler = factored(1),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """EGGROLL; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: σ, above 0.
      num_queries: K, at least 1; at least 2 without `antithetic`.
      antithetic: whether each direction has two points, on both sides.
      fitness: "zscore", "rank", "centered", or with `antithetic` "sign".
      num_groups: a divisor of K; of "zscore" and "centered".
      rule: links between the estimate and the learning rate, e.g. optax.scale_by_adam().
      sampler: the law of E and z; `zojax.factored(r)`, or `zojax.gaussian()` for OpenES.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; the scores are those of
        the losses of the whole. See `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range; for an unknown fitness, or "sign" without pairs.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x["w"] - 1) ** 2) + jnp.sum(x["b"] ** 2)
      >>> x = {"b": jnp.ones(3), "w": jnp.zeros((4, 3))}
      >>> tx = zojax.eggroll(optax.linear_schedule(0.3, 0.0, 200), jax.random.key(0), chunk_size=4)
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
    _checks.instance(optax.GradientTransformation, "optax.scale_by_adam()", rule=rule)
    estimate = estimate_gradient(
        key,
        sampler,
        fitness_shaped(radius, num_queries, fitness, antithetic, num_groups),
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    rate = optax.scale_by_learning_rate(learning_rate)
    return skip_nonfinite(chain(estimate, in_finite_steps(rule), *decay, rate))
