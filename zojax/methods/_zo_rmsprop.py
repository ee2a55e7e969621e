"""ZO-RMSProp: estimates divided by the root of their second moment.

    z_k ~ N(0, I),  k = 1...K                                                                    (1)
    ĝ_t = (1/K) Σ_k [f(x + r z_k) - f(x)] / r · z_k                                              (2)
    v_t = β₂ v_{t-1} + (1 - β₂) ĝ_t²                                                             (3)
    x   ← x - η ĝ_t / √(v_t + ζ)                                                                 (4)

elementwise, with v_0 = 0, without bias correction. x is `params`, f is `value_fn`, shape (); r is
`radius`, K is `num_queries`, η is `learning_rate`, β₂ is `b2` and ζ is `eps_root`.

Costs K + 1 loss evaluations a step: forward differences share the loss at x; K = 10 and r are those
of `zojax.r_adazo`, whose baseline this is. Stores one float32 tree like params and a few scalars;
with `history=h`, h K scalars in its place, for h K regenerations of the directions a step.

Reference: Tieleman and Hinton, "Lecture 6.5 - RMSProp", Coursera: Neural Networks for Machine
Learning, 2012, fed with zeroth-order estimates as a baseline in Shu, Zhang, He, Dai, "Refining
adaptive zeroth-order optimization at ease", ICML 2025, arXiv:2502.01014. No code of that baseline
is known to us: that ζ stands inside the root, and that no bias is corrected, is taken from the
method that it is compared with.

Departures:
- The first step is η/√(1 - β₂) = 10 η in every entry, as v starts from 0.
- A loss that is not finite makes the whole update zero; v sees an estimate of zero.
- The second moment is float32 also where params are narrower.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import chain, forward
from zojax.samplers import Sampler, gaussian
from zojax.transforms import (
    estimate_then,
    in_float32,
    r_adazo_update,
    scale_by_r_adazo,
    skip_nonfinite,
    weight_decay_links,
)


def zo_rmsprop(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 5e-3,
    num_queries: int = 10,
    sampler: Sampler = gaussian(),
    b2: ArrayLike = 0.99,
    eps_root: ArrayLike = 1e-8,
    history: int | None = None,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """ZO-RMSProp; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: r, above 0.
      num_queries: K, at least 1.
      sampler: the law of z.
      b2: β₂, at least 0 and below 1.
      eps_root: ζ, above 0: alone it keeps 0/0 away.
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
      ValueError: if a number is out of range.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum(x**2)
      >>> x = jnp.array([1.0, 2.0])
      >>> tx = zojax.zo_rmsprop(0.03, jax.random.key(0))
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
    _checks.below_one(b2=b2)
    _checks.positive(eps_root=eps_root)
    if history is None:
        rule = in_float32(optax.scale_by_rms(b2, eps_root, eps_in_sqrt=True, bias_correction=False))
    else:  # the same, with the last estimate in its state
        rule = scale_by_r_adazo(0.0, b2, 0.0, eps_root)
    links = chain(
        *estimate_then(
            rule,
            lambda state: r_adazo_update(state, 0.0, eps_root, 0),
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
    )
    return skip_nonfinite(links)
