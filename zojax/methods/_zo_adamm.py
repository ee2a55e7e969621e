"""ZO-AdaMM: adaptive momentum with a second moment that never falls, and a box.

    z_k uniform on the sphere of radius √d,  k = 1...K                                           (1)
    ĝ_t = (1/K) Σ_k [f(x + r z_k) - f(x)] / r · z_k                                              (2)
    m_t = β₁ m_{t-1} + (1 - β₁) ĝ_t                                                              (3)
    v_t = β₂ v_{t-1} + (1 - β₂) ĝ_t²                                                             (4)
    v̂_t = max(v̂_{t-1}, v_t)                                                                      (5)
    x   ← Π[x - η m_t / (√v̂_t + ε)]                                                              (6)

elementwise, with m_0 = 0 and v_0 = v̂_0 = 1e-7, without bias correction. x is `params` with d
entries, f is `value_fn`, shape (); r is `radius`, K is `num_queries`, η is `learning_rate`, β₁ and
β₂ are `b1` and `b2`, ε is `eps`, and Π is the projection to `box`, if there is one.

Costs K + 1 loss evaluations a step: forward differences with K = 10, as in the official code, share
the loss at x. Stores three float32 trees like params (two without `amsgrad`) and a few scalars;
with `history=h`, h K scalars in their place, for h K regenerations of the directions a step.

Reference: Chen, Liu, Xu, Li, Lin, Hong, Cox, "ZO-AdaMM: zeroth-order adaptive momentum method for
black-box optimization", NeurIPS 2019, arXiv:1910.06513, and its official code.

Departures:
- z is √d times a unit vector u, so that E[z zᵀ] = I as for all samplers: the smoothing radius of
  the paper is μ = √d r, and its factor d in front of ĝ is contained in z zᵀ.
- Π is plain clipping. The paper's projection is that in the metric of √v̂, which is the same point
  for a box (see `zojax.project_to_box`); other sets are not offered.
- The published form has ε = 0, the default here, and starts v at 1e-7, a constant of the code. One
  of the code's files steps with √v although it keeps v̂; this is the form of the paper.
- `amsgrad=False` leaves out (5) and starts v at 0: the baseline of the papers on R-AdaZO and ZoAR,
  who use gaussian z, β₁ = 0.9, β₂ = 0.99, ε = 1e-8.
- β₂ = 0.99 is theirs; the official code has 0.9 or 0.3, by experiment. The paper lets η fall like
  1/√t: pass such a schedule.
- A loss that is not finite makes the whole update zero; the moments see an estimate of zero.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, forward
from zojax.samplers import Sampler, sphere
from zojax.transforms import (
    estimate_then,
    project_to_box,
    scale_by_zo_adamm,
    skip_nonfinite,
    weight_decay_links,
    zo_adamm_update,
)


def zo_adamm(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    num_queries: int = 10,
    sampler: Sampler = sphere(),
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.99,
    eps: ArrayLike = 0.0,
    amsgrad: bool = True,
    box: tuple[Any, Any] | None = None,
    history: int | None = None,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZO-AdaMM; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key, as jax.random.key makes.
      radius: r, above 0.
      num_queries: K, at least 1.
      sampler: the law of z.
      b1: β₁, at least 0 and below 1.
      b2: β₂, at least 0 and below 1.
      eps: ε, at least 0.
      amsgrad: whether v̂ is the maximum (5), else v.
      box: (lower, upper), numbers or trees like params; None for none. Params are expected inside;
        those that are not are brought in by the first step.
      history: steps that moments are made from anew in every step, at least 1; None keeps them
        instead. See `zojax.transforms.estimate_then`.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, `sampler` cannot draw again what a history needs, or
        a lower bound is above its upper one.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum(x**2)
      >>> x = jnp.array([1.0, 2.0])
      >>> tx = zojax.zo_adamm(0.1, jax.random.key(0), box=(-2.0, 2.0))
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(100):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 1e-2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    links = [
        *estimate_then(
            scale_by_zo_adamm(b1, b2, eps, amsgrad),
            lambda state: zo_adamm_update(state, eps, amsgrad),
            key,
            sampler,
            forward(radius, num_queries),
            history=history,
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        ),
        *weight_decay_links(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate),
    ]
    if box is not None:
        links.append(project_to_box(*box))
    return skip_nonfinite(chain(*links))
