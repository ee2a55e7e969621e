"""What the weights of a loss are multiplied with, for directions that are made of it.

`loss_and_inputs` runs a loss at params as it is, and at every contraction with a leaf has a summary
made of the other operand. In a scan over layers the summaries of each layer come out stacked.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from zojax import _checks
from zojax._mesh import AxisName
from zojax._typing import Params
from zojax.evaluation._interpreter import interpret
from zojax.evaluation._met import Summaries, Summarize, summarizing
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import forward_program, run_program
from zojax.evaluation._report import drawn
from zojax.recipes import LowRank, MatrixView


def loss_and_inputs(
    loss: Callable[[Params], Any],
    params: Params,
    summarize: Summarize,
    *,
    has_aux: bool = False,
    gathered: AxisName = (),
) -> tuple[jax.Array, Summaries]:
    """The loss at params, shape (), and a summary of what meets its leaves.

    Args:
      loss: `params -> ()`, or `(value, aux)` with `has_aux`.
      params: a tree of floating-point arrays.
      summarize: `(path, shape, axes, x) -> array`, or None: of a leaf, named as
        `jax.tree_util.keystr` does, or a part of it of this shape, the axes that a contraction sums
        over, and x, (tokens, *those axes).
      has_aux: see above.
      gathered: mesh axes that leaves are stored in parts over.

    Returns:
      The loss, and by path the sums of the summaries, for a stack that is scanned over one for each
      layer. What no contraction meets has none, nor what is met in `cond` and `while`, or where
      axes of both go along.
    """
    program, outs = forward_program(loss, params)
    named = jax.tree.leaves_with_path(params)
    leaves = [_unperturbed(jax.tree_util.keystr(path), leaf, gathered) for path, leaf in named]
    with summarizing(summarize) as found:
        results = drawn(None, run_program(program, interpret, *leaves))
    results = jax.tree.unflatten(jax.tree.structure(outs), map(jnp.asarray, results))
    value, _ = _checks.value_and_aux(results, has_aux=has_aux)
    return value, found


def _unperturbed(path: str, leaf: jax.Array, gathered: AxisName) -> Perturbed:
    """A leaf as the loss sees it, which its rules take for a perturbed one: z = 0, of rank 1."""
    axes = tuple(range(leaf.ndim))
    rows, columns = axes[:-1], axes[-1:]
    factors = [jnp.zeros((*(leaf.shape[axis] for axis in side), 1)) for side in (rows, columns)]
    return Perturbed(
        base=jnp.asarray(leaf),
        recipe=LowRank.of(MatrixView(rows, columns), *factors),
        radius=jnp.float32(0.0),
        dtypes=(jnp.dtype(leaf.dtype),),
        budget=max(leaf.size, 1),
        permutation=axes,
        gathered=gathered,
        path=path,
    )
