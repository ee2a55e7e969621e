"""ConMeZO: MeZO along directions in a cone around the average of its estimates.

    z_k = √d cos θ m / ‖m‖ + sin θ u_k,    u_k ~ N(0, I),    k = 1...K    (z = u while m = 0)    (1)
    s_k = [f(x + ε z_k) - f(x - ε z_k)] / (2 ε),    ĝ = (1/K) Σ_k s_k z_k                        (2)
    x   ← x - η (ĝ + λ x)                                                                       (3)
    m   ← b m + (1 - b) ĝ                                                                       (4)

x is `params` with d entries in all, f is `value_fn`, shape (); θ is `angle`, ε `radius`, K
`num_queries`, b `momentum`, η `learning_rate`, λ `weight_decay`. ‖m‖ is that of the whole tree.

What to know before tuning:
- E[z zᵀ] = sin² θ I + d cos² θ m mᵀ / ‖m‖²: the part of the gradient along m is amplified by
  d cos² θ, 0.05 d at the θ of the paper. θ = π/2 is MeZO.
- As ‖z‖ ≈ √d whatever θ is, η and ε are of MeZO's size, while m is a good guess. On a curved loss
  the amplified direction is the first to become unstable.
- The scale of m has no say, so the average needs no correction for its start.

Costs 2 K loss evaluations a step. Stores m, a float32 tree like params (4 bytes a weight), K
numbers, a few counters and the key. m is read where the loss reads a weight; nothing else of its
size exists while losses are evaluated.

Settings of the official code for language models: θ = 1.35, b = 0.99, ε = 1e-3, η = 1e-7 (OPT),
with b raised slowly at the start, which is this schedule:

    def momentum(step):
        p = (jnp.clip(step - 200, 0, 1800) / 1800) ** 1.8
        return 0.99 - 0.89 / (1 + 8 * p) ** 3                      # 0.1 up to step 200

Reference: Behric, Zhang, Li, Thekumparampil, "ConMeZO: Adaptive Descent-Direction Sampling for
Gradient-Free Finetuning of Large Language Models", AISTATS 2026, arXiv:2511.02757, and its official
code, LejsDeen/ConMeZO.

Departures:
- ‖m‖ is measured. The official code for language models starts m at a gaussian of norm √d and
  follows ‖m‖ by a recursion for its expectation; it keeps m and z in one buffer.
- b of the official schedule goes on at its last value behind step 2000.
- The paper has one query a step; with several all share the cone of the step.
- A loss that is not finite makes the whole update zero, weight decay included, and leaves m alone.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Sampler, cone, gaussian
from zojax.transforms import skip_nonfinite, weight_decay_links


def conmezo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    angle: ArrayLike = 1.35,
    momentum: optax.ScalarOrSchedule = 0.99,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ConMeZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: K, at least 1.
      angle: θ in radians, above 0; at π/2 it is MeZO.
      momentum: b, at least 0 and below 1, or a schedule of such.
      sampler: the law of u, one that is drawn entry by entry; see `zojax.cone`.
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
      >>> tx = zojax.conmezo(0.005, jax.random.key(0), momentum=0.9)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.decay(momentum=momentum)
    links = chain(
        estimate_gradient(
            key,
            cone(sampler, angle, momentum),
            central(radius, num_queries),
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        ),
        *weight_decay_links(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return skip_nonfinite(links)
