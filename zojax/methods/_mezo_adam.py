"""MeZO-Adam: MeZO's estimate in the place of Adam's gradient, with or without moments in memory.

    ĝ_t = (1/n) Σ_k s_k z_k,    s_k = [f(x + ε z_k) - f(x - ε z_k)] / (2 ε),    z_k ~ N(0, I)    (1)
    m_t = β₁ m_{t-1} + (1 - β₁) ĝ_t,    v_t = β₂ v_{t-1} + (1 - β₂) ĝ_t²                         (2)
    x   ← x - η [ m_t / (1 - β₁^t) / (√(v_t / (1 - β₂^t)) + ε_Adam) + λ x ]                     (3)

x is `params`, f is `value_fn`, shape (); ε is `radius`, n is `num_queries`, η is `learning_rate`,
β₁ and β₂ are `b1` and `b2`, ε_Adam is `eps` and λ is `weight_decay`. The first step is η sign(s z),
whatever the slope s is: a learning rate has to suit that, not MeZO's. All entries of ĝ share the
scalar s, so v is nearly the same everywhere, and what adapts is mostly the length of the step.

With `history=None`, m and v are kept: two trees like params. With `history=h` they are made again
in every step from the scalars s of the last h steps and directions drawn anew: h n scalars. Up to
step h both give the same params, up to rounding; after that the second is Adam started h steps ago,
which leaves out a share β₁^h of m and β₂^h of v.

AdaMeZO (arXiv:2605.00650, ICML 2026) is this with `history=10, b1=0.7, b2=0.9, eps=3e-6`. Its code
steps along a/(√b + 1e-5), with a and b the sums of the last ten estimates and of their squares with
the weights β₁^i and β₂^i, and has a factor of 100 in front. But for what is added to the root, that
is (3) times (1 - β₁^t)/(1 - β₁) √((1 - β₂)/(1 - β₂^t)): 1 in the first step, 1.37 in the fifth, and
1.05 in the end.

Costs 2 n loss evaluations a step, and with `history` h n regenerations of the directions.

Reference: Malladi, Gao, Nichani, Damian, Lee, Chen, Arora, "Fine-Tuning Language Models with Just
Forward Passes", NeurIPS 2023, arXiv:2305.17333, Section 2.2 and Appendix B.2.

Departures:
- The memory-free form is described in the paper and missing from its code, which keeps m and v.
- The official code adds ε_Adam to √v before the correction of its bias, here it comes after, as in
  optax and in Adam's paper.
- Those of `zojax.mezo`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain
from zojax.samplers import Sampler, gaussian
from zojax.transforms import (
    estimate_then,
    in_float32,
    skip_nonfinite,
    weight_decay_links,
)


def mezo_adam(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 1,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    history: int | None = None,
    sampler: Sampler = gaussian(),
    weight_decay: float = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """MeZO-Adam; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; the paper searches 1e-6 ... 1e-3.
      key: a typed key.
      radius: ε, above 0.
      num_queries: n, at least 1.
      b1: β₁ in [0, 1).
      b2: β₂ in [0, 1).
      eps: ε_Adam, at least 0.
      history: steps that moments are made from, at least 1; None keeps the moments instead.
      sampler: the law of z.
      weight_decay: λ, at least 0.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range; in `update` if `history` does not fit the state.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum(x**2)
      >>> x = jnp.array([1.0, 2.0])
      >>> tx = zojax.mezo_adam(0.03, jax.random.key(0), history=200)
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
    _checks.below_one(b1=b1, b2=b2)
    _checks.not_negative(eps=eps)

    def adam_update(state: optax.ScaleByAdamState) -> optax.Updates:
        m = optax.tree.bias_correction(state.mu, b1, state.count)
        v = optax.tree.bias_correction(state.nu, b2, state.count)
        return jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), m, v)

    links = estimate_then(
        in_float32(optax.scale_by_adam(b1, b2, eps)),
        adam_update,
        key,
        sampler,
        central(radius, num_queries),
        history=history,
        accumulate=accumulate,
        chunk_size=chunk_size,
        axis_name=axis_name,
        axes=axes,
    )
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    return skip_nonfinite(chain(*links, *decay, optax.scale_by_learning_rate(learning_rate)))
