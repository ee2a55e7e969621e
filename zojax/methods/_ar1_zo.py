"""AR1-ZO: one atom of rank 1 of an adapter at a time.

An adapter adds ΔW = s A B = s Σ_i a_i b_iᵀ to a weight W, (in, out): atom i is a_i, column i of A,
(in, r), and b_i, row i of B, (r, out), together a complete adapter of rank 1. In step t = 0, 1, ...

    i   = t mod r        (schedule "cyclic")      or uniform on 0...r-1      ("random")          (1)
    p_l ~ N(0, I_in),  q_l ~ N(0, I_out)          for every adapted layer l                      (2)
    x±  = x with a_i ± μ p_l and b_i ± μ q_l in all layers                                       (3)
    δ   = [f(x+) - f(x-)] / (2 μ)                                                                (4)
    a_i ← a_i - η δ p_l,    b_i ← b_i - η δ q_l                                                  (5)

x is `params`, the factors alone; f is `value_fn`, shape (); μ is `radius`, η is `learning_rate`.
Layers of other ranks r_l take the atom t mod r_l. With layers="one", (1) goes through the atoms of
one layer after those of another. `inner`, if given, stands between δ p, δ q and (5).

The scale s belongs to the model, which multiplies every atom with it, active or not. With
G_l = ∂f/∂W_l and f linear in W, δ ~ N(0, τ²) over the directions, exactly for every μ, with

    τ² = s² Σ_l (‖G_l b_i‖² + ‖G_lᵀ a_i‖²)                                                       (6)

so under LoRA's usual s = α/r the signal τ shrinks as 1/r, and against noise of variance σ² in
every loss the ratio 2 μ² τ²/σ² shrinks as 1/r²: the sign of δ becomes that of a coin. AR1-ZO is
this method *with* s = α at every rank (`zojax.lora.ar1_scale`; the paper's γ = α r is the numerator
that LoRA divides by r). No learning rate makes up for another s, and nothing here can repair a
model that applies α/r: make it with `zojax.lora.adapt(..., scale=zojax.lora.ar1_scale(α))`.

What to know before using it:
- At B = 0, where adapters start, f does not depend on A: the first visit to an atom moves b_i by
  what was measured and a_i by noise alone, of variance (η δ)² an entry.
- To first order in η a step changes ΔW on average by -η s² (a_i a_iᵀ G + G b_i b_iᵀ): a good η
  goes as 1/s². To change α/r into α and leave η as it is compares nothing.
- Without noise in the loss atoms are no gain: for an L-smooth f the guaranteed decrease a step is
  ‖∇f‖²/(2 r L (D + 2)) for atoms of D entries, ‖∇f‖²/(2 L (r D + 2)) for all r at once. With noise
  most of the gain over α/r is that of s: in `experiments.ar1_signal` `zojax.mezo` on the whole
  adapter at the same s does better than atoms. It is the baseline to beat.

Costs 2 loss evaluations a step, in which noise is drawn for one atom: Σ_l (in_l + out_l) numbers
whatever the rank; r steps visit every atom once. Stores two scalars, four counters and the key,
and what `inner` stores.

Reference: Chen, Lin, Zhang, Yan, Yang, Shu, AR1-ZO, arXiv:2605.19767. We could read its abstract
alone and know of no code. The abstract has: one atom (both factors) a step, alternating; two
evaluations; γ = α r and that signal and ratio then do not depend on the rank; the rank as a cost of
coverage. Our reading: that γ is the numerator (it follows from that claim), the cyclic order, all
layers at once (else coverage would also cost the number of layers), gaussian directions and plain
descent (as in MeZO, which it is compared with), the default μ. Not known to us: α, η, the law of A,
the adapted layers (MeZO's runs: q_proj and v_proj, rank 8, α = 16, so s = 2).

Ours besides:
- What `inner` keeps (momentum, moments, Adam's count) is kept for each atom and touched in its turn
  only, and weight decay in `inner` acts on the active atom: elsewhere params do not change by a
  bit. Links behind the method would decay and move inactive atoms.
- With unequal ranks, numbers that `inner` keeps besides (Adam's count) belong to the combination of
  atoms that meet in a step, of which there are lcm(r_l): Adam's bias correction then lasts longer
  than it should.
- A loss that is not finite makes the whole update zero; the turn passes to the next atom.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, estimate_gradient
from zojax.samplers import Atoms, Sampler, atom_labels, blocks, flax_factors, gaussian
from zojax.transforms import weight_decay_links


def ar1_zo(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-2,
    schedule: str = "cyclic",
    layers: str = "all",
    inner: optax.GradientTransformation | None = None,
    atoms: Atoms = flax_factors,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """AR1-ZO; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    `params` are the factors of an adapter and nothing else: of
    `graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)` the adapter. Whether the
    method is AR1-ZO depends on the scale in the model, which must not shrink with the rank; see the
    card of this file.

    Args:
      learning_rate: η, a number or a schedule. MeZO's for adapters are 1e-3 to 1e-6, at a scale of
        2; at a scale s times (2/s)² of that.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: μ, above 0.
      schedule: "cyclic" or "random" (independent, uniform), the order of atoms.
      layers: "all", one atom of every layer a step, or "one", one atom of one layer.
      inner: optax links that see the active atom alone, such as optax.scale_by_adam(); its moments
        are of the size of params. None for plain descent.
      atoms: (path, leaf) -> the axis along which a factor counts atoms, for factors that are not
        called lora_a, (..., in, rank), and lora_b, (..., rank, out). Under
        optax.inject_hyperparams name it in static_args.
      sampler: the law of p and q, `zojax.gaussian()` or `zojax.rademacher()`.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: calls that a step is made of, each with a part of a batch; see
        `zojax.estimate_gradient`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, `schedule` or `layers` is unknown or the sampler has
        state; in `init` and `update` if params are no adapter.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> target = jnp.outer(jnp.arange(4.0), jnp.ones(3))
      >>> value_fn = lambda x: jnp.mean((2.0 * x["lora_a"] @ x["lora_b"] - target) ** 2)
      >>> x = {"lora_a": jax.random.normal(jax.random.key(1), (4, 2)), "lora_b": jnp.zeros((2, 3))}
      >>> tx = zojax.ar1_zo(0.02, jax.random.key(0))
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(300):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.05)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    _checks.one_of(("cyclic", "random"), schedule=schedule)
    directions = blocks(sampler, atom_labels(atoms, layers=layers), order=schedule)
    if inner is not None:
        _checks.instance(optax.GradientTransformation, "optax.scale_by_adam()", inner=inner)
    links = [] if inner is None else [inner]
    decay = weight_decay_links(weight_decay, weight_decay_mask)
    active = optax.chain(*links, *decay, optax.scale_by_learning_rate(learning_rate))
    return estimate_gradient(
        key,
        directions,
        central(radius),
        inner=active,
        accumulate=accumulate,
        axis_name=axis_name,
        axes=axes,
    )
