"""KerZOO: central differences at random radii, weighted such that their error cancels.

    u_k ~ N(0, I),  s_k ~ U(-1, 1),    k = 1...n                                                (1)
    c_k = K(s_k) [f(x + ε s_k u_k) - f(x - ε s_k u_k)] / (2 ε)                                   (2)
    ĝ   = (1/n) Σ_k c_k u_k,    x ← x - η (ĝ + λ x)                                              (3)

x is `params`, f is `value_fn`, shape (); ε is `radius`, n `num_queries`, η `learning_rate`, λ
`weight_decay`. K is an odd polynomial, 15/4 s (5 - 7 s²) unless `order` says otherwise, with E[s K]
= 1 and E[s³ K] = 0: what a central difference has of the third derivative, ε²/6 f'''[u, u, u],
drops out on average, and the error is O(ε⁴).

What to know before tuning:
- On a linear loss E‖ĝ‖² is 6.25 times MeZO's, and noise of the losses counts 18.75 times, so the
  learning rate is MeZO's divided by about 2.5. There is something to gain only where ε² times the
  third derivatives is large beside that: at a wide ε. At 1e-3 it is far below the sampling noise.
- Small |s| measure small differences, and weigh them by 18.75 |s|: for a loss that is rounded
  coarsely that is noise. Return losses in float32.

Costs 2 n loss evaluations a step. Stores n numbers, three counters and the key.

Reference: Mi, Tan, Yu, Zhu, Yuan, Huang, "KerZOO: Kernel Function Informed Zeroth-Order
Optimization for Accurate and Accelerated LLM Fine-Tuning", 2025, arXiv:2505.18886.

Departures:
- The constant C in front of the paper's kernels is 1: it multiplies η.
- The kernel of order 6 is normalized to E[s K] = 1 (105/64); the paper prints 195/64, which is a
  rate 1.857 times as large.
- s is drawn from (0, 1): both factors of (2) are odd in s, so the sign has no say.
- A loss that is not finite makes the whole update zero, weight decay included.

Not established, as no code was found: n, C and η of the paper's runs, and whether all its tables
are of the kernel of order 4. One s is drawn for all weights of a query.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, estimate_gradient, kernel_weighted
from zojax.samplers import Sampler, gaussian
from zojax.transforms import skip_nonfinite, weight_decay_links


def kerzoo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    order: int = 4,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """KerZOO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; see above.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      num_queries: n, at least 1.
      order: of the kernel, 2, 4 or 6; see `zojax.kernel_weighted`.
      sampler: the law of u.
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
      >>> value_fn = lambda x: jnp.sum(jnp.cosh(x))  # 2 at its lowest
      >>> x = jnp.array([1.0, 2.0])
      >>> tx = zojax.kerzoo(0.03, jax.random.key(0), radius=0.5)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 2.01)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    links = chain(
        estimate_gradient(
            key,
            sampler,
            kernel_weighted(radius, num_queries, order),
            accumulate=accumulate,
            chunk_size=chunk_size,
            read_once=True,
            axis_name=axis_name,
            axes=axes,
        ),
        *weight_decay_links(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    return skip_nonfinite(links)
