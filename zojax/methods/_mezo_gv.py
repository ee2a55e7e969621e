"""MeZO-GV and MeZO-Greedy: one pair along a direction that a few single losses choose.

    z_i ~ N(0, I),    f_i = f(x + ε z_i),    i = 1...M                                           (1)
    v   = mean of z_i over the m lowest f_i - mean over the others      ("contrast", MeZO-GV)    (2)
    v   = z_i of the lowest f_i                                         ("greedy")               (3)
    s   = [f(x + ε v) - f(x - ε v)] / (2 ε),    x ← x - η (s v + λ x)                            (4)

x is `params`, f is `value_fn`, shape (); M is `candidates`, m `elite` or ⌊M/2⌋, ε `radius`, η
`learning_rate`, λ `weight_decay`. All losses of a step are of one batch. With `remember` one of the
candidates is the best of the step before, measured anew: a direction that stays good is kept, and
what guides the step is not only its own batch.

What to know before tuning:
- s v does not change with the sign of v, which is all that (1) decides for M = 2: (2) is ±(z_1 -
  z_2), MeZO with √2 ε and 2 η at twice its cost. On a linear loss gains begin with M = 3. The
  expected cos² with the gradient over that of one direction is 1, 1.4, 2.1, 4.6 for M = 2, 3, 4, 8
  in (2), and 1, 1.3, 1.6, 2.4 in (3); averaging M + 1 one-sided differences gives M.
- v of (2) has the length √(d (1/m + 1/(M - m))), twice √d for M = 2: ε and η of MeZO are ε/√2 and
  η/2 here.

Costs M + 2 loss evaluations a step. Stores M + 5 numbers, three counters and the key.

Settings of the official code: M = 2 in all of its trainers, m = 1; the one that it runs has
`remember`; ε = 1e-3, η = 2e-7 to 1e-6 (OPT).

Reference: arXiv:2601.04710, "Steering the Noise" in its second version, and its official code,
stan-anony/MeZO-GV.

Departures:
- The official code keeps v in a copy of the params, but for one trainer; here the candidates are
  drawn where v is read, M times as much noise as MeZO in (2), and once in (3).
- With `remember`, the contrast of the main trainer is (2) with M = 2.
- Parts of a batch would choose other directions, so `accumulate` has to be 1.
- Should a loss of (1) or (4) not be finite the update is zero, weight decay included, and the kept
  candidate stays.

Not established: M and m of the paper's tables, and which of the trainers made them.
"""

from typing import Any

import optax
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName
from zojax._typing import Key
from zojax.estimators import central, chain, estimate_gradient
from zojax.samplers import Sampler, gaussian, selected
from zojax.transforms import skip_nonfinite, weight_decay_links


def mezo_gv(
    learning_rate: optax.ScalarOrSchedule,
    key: Key,
    *,
    radius: ArrayLike = 1e-3,
    candidates: int = 4,
    rule: str = "contrast",
    elite: int | None = None,
    remember: bool = False,
    sampler: Sampler = gaussian(),
    weight_decay: ArrayLike = 0.0,
    weight_decay_mask: Any = None,
    accumulate: int = 1,
    chunk_size: int = 1,
    axis_name: AxisName | None = None,
    axes: Axes = Axes(),
) -> optax.GradientTransformationExtraArgs:
    """MeZO-GV; `update` needs `params` and `value_fn` (see `zojax.estimate_gradient`).

    Args:
      learning_rate: η, a number or a schedule; see above.
      key: a typed key; that of JAX's default generator draws the fastest.
      radius: ε, above 0.
      candidates: M, at least 2.
      rule: "contrast" (MeZO-GV) or "greedy".
      elite: m, from 1 to M - 1; None for ⌊M/2⌋.
      remember: whether the best candidate competes in the next step, too.
      sampler: the law of z, dense for (2); see `zojax.selected`.
      weight_decay: λ, at least 0, in x ← x - η (u + λ x) for an update η u of the equations above.
      weight_decay_mask: a tree of booleans, or a function from params to one, as optax takes it.
      accumulate: 1; see above.
      chunk_size: candidates evaluated side by side; see `zojax.evaluate`.
      axis_name: axes that losses are averaged over, inside `jax.shard_map` or `jax.pmap`.
      axes: of the mesh; see `zojax.Axes`. There is one direction to be shared out.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a number is out of range, for an unknown rule, or `accumulate` above 1.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> value_fn = lambda x: jnp.sum((x - 1) ** 2)
      >>> x = jnp.zeros(20)
      >>> tx = zojax.mezo_gv(0.01, jax.random.key(0))
      >>> state = tx.init(x)
      >>> @jax.jit
      ... def step(x, state):
      ...     updates, state = tx.update(None, state, x, value_fn=value_fn)
      ...     return optax.apply_updates(x, updates), state
      >>> for _ in range(200):
      ...     x, state = step(x, state)
      >>> bool(value_fn(x) < 0.2)
      True
    """
    _checks.learning_rate(learning_rate=learning_rate)
    links = chain(
        estimate_gradient(
            key,
            selected(sampler, radius, candidates, rule, elite=elite, remember=remember),
            central(radius),
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
