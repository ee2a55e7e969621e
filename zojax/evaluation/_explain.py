"""Where a loss makes its evaluation form a perturbed leaf as a whole, and what that costs."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from zojax import _checks
from zojax._typing import Params, ValueFn
from zojax.evaluation._evaluate import evaluate
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._report import reporting
from zojax.evaluation._source_lines import line_of
from zojax.samplers import Sampler, gaussian


class DrawnLeaf(NamedTuple):
    """A leaf of params, or a part of it, that exists in perturbed form as a whole.

    Attributes:
      path: of the leaf, as `jax.tree_util.keystr` writes it.
      shape: of what is drawn.
      dtype: of it.
      primitive: that has no rule for it, or to which no rule applies; "returned" if the loss (or
        its aux) is made of it.
      where: the line of the loss that asks for it, "file:line (function)".
      num_bytes: of one perturbed copy; the points along a direction have one each.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    primitive: str
    where: str
    num_bytes: int

    def __str__(self) -> str:
        shape = f"{self.dtype.name}[{','.join(map(str, self.shape))}]"
        return (
            f"{self.num_bytes:>13,} bytes  {self.path} {shape} by {self.primitive} at {self.where}"
        )


def explain(
    value_fn: ValueFn,
    params: Params,
    sampler: Sampler = gaussian(),
    *,
    has_aux: bool = False,
) -> list[DrawnLeaf]:
    """Lists the leaves that are drawn as a whole where `value_fn` is evaluated under perturbation.

    The evaluation has rules for contractions, gathered rows, slices, casts, loops and the like. Any
    other operation gets the perturbed leaf itself. That is right for every loss, and for biases and
    scales it costs nothing; this shows where it costs memory. A contraction is not listed: it draws
    a leaf at a time, large ones in blocks.

        for leaf in zojax.explain(loss, params):
            print(leaf)

    Nothing is evaluated or compiled, and `params` may be `jax.ShapeDtypeStruct`s.

    Args:
      value_fn: `value_fn(params) -> ()`, or `(value, aux)` with `has_aux`.
      params: a tree of floating-point arrays, or of their shapes.
      sampler: what can be drawn in parts depends on its directions.
      has_aux: whether `value_fn` returns `(value, aux)`.

    Returns:
      One entry for each leaf, primitive and line, the largest first.

    Raises:
      TypeError, ValueError: as `zojax.evaluate`.
    """
    _checks.floating(params)
    found: dict[DrawnLeaf, None] = {}

    def report(eqn: core.JaxprEqn | None, leaf: Perturbed) -> None:
        found[_described(eqn, leaf)] = None

    def losses(params: Params) -> jax.Array:
        state = sampler.init(params)
        directions, _ = sampler.draw(state, jax.random.key(0), jnp.int32(0), 1, params)
        return evaluate(value_fn, params, directions, jnp.ones(2), has_aux=has_aux)

    with reporting(report):
        jax.eval_shape(losses, params)
    return sorted(found, key=lambda leaf: -leaf.num_bytes)


def _described(eqn: core.JaxprEqn | None, leaf: Perturbed) -> DrawnLeaf:
    dtype = np.dtype(leaf.dtype)
    primitive = "returned" if eqn is None else eqn.primitive.name
    size = math.prod(leaf.shape) * dtype.itemsize
    where = "the end of the loss" if eqn is None else line_of(eqn.source_info)
    return DrawnLeaf(leaf.path, leaf.shape, dtype, primitive, where, size)
