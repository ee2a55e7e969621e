"""R-AdaZO: adaptive steps whose second moment is built from the first.

    z_k ~ N(0, I),  k = 1...K                                                                    (1)
    ĝ_t = (1/K) Σ_k [f(x + r z_k) - f(x)] / r · z_k                                              (2)
    m_t = β₁ m_{t-1} + (1 - β₁) ĝ_t                                                              (3)
    v_t = β₂ v_{t-1} + (1 - β₂) m_t²                                                             (4)
    x   ← x - η m_t / (√(v_t + ζ) + ε)                                                           (5)

elementwise, with m_0 = v_0 = 0, without bias correction; v takes the m of the same step. x is
`params`, f is `value_fn`, shape (); r is `radius`, K is `num_queries`, η is `learning_rate`, β₁ and
β₂ are `b1` and `b2`, ε is `eps` and ζ is `eps_root`. Only (4) differs from ZO-AdaMM without
maximum, where ĝ_t² stands: the square of an estimate is mostly noise, of which m has averaged a
part away.

At one η it steps about √((1 + β₁)/(1 - β₁)) = 4.4 times as far as ZO-AdaMM where noise dominates
(see `zojax.scale_by_r_adazo`): compare the two with η tuned for each. Its first step is
η/√(1 - β₂) = 10 η in every entry; `warmup_steps` removes that.

Costs K + 1 loss evaluations a step: forward differences with K = 10, as in the authors'
experiments, share the loss at x. Stores two float32 trees like params and a few scalars; with
`history=h`, h K scalars in their place, for h K regenerations of the directions a step.

Reference: Shu, Zhang, He, Dai, "Refining adaptive zeroth-order optimization at ease", ICML 2025,
arXiv:2502.01014, and its official code.

Departures (from the official code, where it differs from the paper):
- ε stands outside the root, as in the code; the form with ζ inside is `eps_root`, with `eps=0`.
- All leaves are perturbed, estimated and updated together; the code goes through them one by one,
  with new evaluations for each, and uses one list of seeds for all.
- z is gaussian, as in the authors' experiments on ZoAR, or what `sampler` says. The code divides it
  by its norm leaf by leaf and leaves out the factor d, which (5) hides but for ε. With
  `zojax.sphere()` the smoothing radius μ of sphere directions is √d r.
- β₂ = 0.99 and K = 10 are those of the experiments; the code's defaults are 0.999 and 2. r = 5e-3
  is that of the code.
- `warmup_steps` is an undocumented part of the authors' code for language models, who have 30.
- A loss that is not finite makes the whole update zero; the moments see an estimate of zero.
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
    r_adazo_update,
    scale_by_r_adazo,
    skip_nonfinite,
    weight_decay_links,
)


def r_adazo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 5e-3,
    num_queries: int = 10,
    sampler: Sampler = gaussian(),
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.99,
    eps: ArrayLike = 1e-8,
    eps_root: ArrayLike = 0.0,
    warmup_steps: ArrayLike = 0,
    history: int | None = None,
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """R-AdaZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; 1e-3 in the authors' synthetic experiments.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: r, above 0.
      num_queries: K, at least 1.
      sampler: the law of z.
      b1: β₁, at least 0 and below 1.
      b2: β₂, at least 0 and below 1.
      eps: ε, at least 0.
      eps_root: ζ, at least 0.
      warmup_steps: in steps t = 1, 2... below this the denominator is 1.
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
      >>> tx = zojax.r_adazo(0.02, jax.random.key(0))
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
    links = chain(
        *estimate_then(
            scale_by_r_adazo(b1, b2, eps, eps_root, warmup_steps=warmup_steps),
            lambda state: r_adazo_update(state, eps, eps_root, warmup_steps),
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
