"""DiZO: MeZO, and now and then a search for how far each matrix should be from where it began.

Of N + J steps, N are those of MeZO:

    z ~ N(0, I),    s = [f(x + ε z) - f(x - ε z)] / (2 ε),    x ← x - η (s z + λ x)              (1)

and J are projections, with x⁰ the params at the start of the run, D = x - x⁰ when they begin, and a
number γ for each projected matrix l, 1 at first and x_l = x⁰_l + γ_l D_l in all of them:

    ζ_l ~ N(0, 1) clipped to ±τ/ε',    ρ = [f(γ + ε' ζ) - f(γ - ε' ζ)] / (2 ε')                  (2)
    γ_l ← γ_l - σ ρ ζ_l  clipped to [1 - τ, 1 + τ]                                               (3)

f is `value_fn`, shape (); ε is `radius`, η `learning_rate`, λ `weight_decay`, N `interval`, J
`projection_steps`, ε' `projection_radius`, σ `projection_rate`, τ `bound`; `projected` says which
leaves have a γ.

What to know before tuning:
- (2) is a search in as many dimensions as there are projected matrices, so its estimates are good,
  and its steps large: what thousands of noisy steps have put into a matrix is scaled as a whole.
- It cannot turn D. Where the steps of (1) are small beside x⁰ it does little.

Costs 2 loss evaluations a step. Stores x⁰ of the projected matrices, 2 numbers for each, a few
counters and the key.

Settings of the official code (OPT): N = 50 to 400, J = 10, ε' = 0.1 or 0.05, σ = 2 or 1, τ = 0.1 to
0.3, the projections of attention's keys and values.

Reference: "Harmony in Divergence: Towards Fast, Accurate, and Memory-efficient Zeroth-order LLM
Fine-tuning", arXiv:2502.03304, and its official code, Skilteee/DiZO.

Departures:
- A projection is J steps of a run, each with its batch and two evaluations, not an inner loop: the
  cost of a step is fixed, and the batches are what the loop would draw.
- γ and ε' are relative to ‖D‖. In the code γ begins at ‖D‖ while ε' is absolute, and (3) has σ ‖D‖.
- The code leaves the embedding out of training altogether; split it off params for that.
- In a projection weights do not decay. A schedule of η counts the steps of (1) alone.
- A loss that is not finite makes the whole update zero, weight decay included, and leaves γ alone.
"""

from typing import Any

import jax
import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Chosen, Sampler, gaussian, is_projection, keys_and_values, radial
from zojax.transforms import in_steps, skip_nonfinite, weight_decay_links


def dizo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    interval: int = 50,
    projection_steps: int = 10,
    projection_radius: ArrayLike = 0.1,
    projection_rate: ArrayLike = 2.0,
    bound: ArrayLike = 0.2,
    projected: Chosen = keys_and_values,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """DiZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      interval: N, at least 1.
      projection_steps: J, at least 1.
      projection_radius: ε', above 0.
      projection_rate: σ, at least 0; with 0 the projections are idle.
      bound: τ, at least 0 and below 1.
      projected: (path, leaf) -> whether the leaf is projected; the matrices of keys and values, by
        their names. Under optax.inject_hyperparams name it in static_args.
      sampler: the law of z, one that is drawn entry by entry; see `zojax.radial`.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      chunk_size: directions evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range; in `init` if no leaf is projected.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x["w"] - 1) ** 2)
      >>> x = {"w": jnp.zeros((4, 5))}
      >>> every = lambda path, leaf: True
      >>> tx = zojax.dizo(0.005, jax.random.key(0), interval=20, projected=every)
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.5)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.positive(projection_radius=projection_radius)
    _checks.at_least(1, projection_steps=projection_steps)
    _checks.not_negative(projection_rate=projection_rate)
    directions = radial(
        sampler,
        radius,
        interval=interval,
        steps=projection_steps,
        step_radius=projection_radius,
        rate=projection_rate,
        bound=bound,
        projected=projected,
    )

    def projects(step: jax.Array) -> jax.Array:
        return is_projection(step, interval, projection_steps)

    descent = optax.chain(
        *weight_decay_links(weight_decay, weight_decay_mask),
        optax.scale_by_learning_rate(learning_rate),
    )
    links = chain(
        estimate_gradient(
            key,
            directions,
            central(radius),
            accumulate=accumulate,
            chunk_size=chunk_size,
            axis_name=axis_name,
            axes=axes,
        ),
        in_steps(descent, lambda step: ~projects(step)),
        # What a projection takes from x is not to be scaled.
        in_steps(optax.scale(-1.0), projects),
    )
    return skip_nonfinite(links)
