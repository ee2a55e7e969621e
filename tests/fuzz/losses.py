"""Losses: random sequences of operations over the leaves of params.

A loss is data, so that its `repr` is an expression that makes it again.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import jax
import jax.numpy as jnp
from hypothesis import strategies as st

from tests.fuzz.arrays import small
from tests.fuzz.operations import calls, contractions, control, indexing, numerics, structure

GROUPS = (contractions, structure, indexing, control, calls, numerics)
OPERATIONS = tuple(dict.fromkeys(operation for group in GROUPS for operation in group.ALL))
_SEEDS = 10_000


class Step(NamedTuple):
    """One operation on values that are there: the leaves, then the results of earlier steps.

    Attributes:
      operation: `(value, value, dice) -> value`.
      first: place of its first operand.
      second: place of the other one, which not every operation reads.
      seed: of the dice that decide its axes, sizes and data.
    """

    operation: Callable[[jax.Array, jax.Array, Random], jax.Array]
    first: int
    second: int
    seed: int

    def __repr__(self) -> str:
        return f"Step({self.operation.__name__}, {self.first}, {self.second}, {self.seed})"


class Loss(NamedTuple):
    """Steps, one after another."""

    steps: tuple[Step, ...]

    def __call__(self, leaves: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        """Returns one number, and the arrays that it is made of: what no later step has read."""
        values, unread = list(leaves), {}
        for step in self.steps:
            operands = step.first % len(values), step.second % len(values)
            out = step.operation(*(values[place] for place in operands), Random(step.seed))
            unread.pop(operands[0], None)
            unread[len(values)] = None
            values.append(small(out))
        arrays = [values[place] for place in unread]
        return sum(_mean(array) for array in arrays), arrays


def _mean(array: jax.Array) -> jax.Array:
    return array.sum() / max(array.size, 1)


@st.composite
def losses(draw: st.DrawFn, num_leaves: int, without: frozenset[str] = frozenset()) -> Loss:
    """Losses of 1 to 4 steps, most of which go on with what the last one gave."""
    groups = [
        st.sampled_from([one for one in group.ALL if one.__name__ not in without])
        for group in GROUPS
    ]
    steps = []
    for place in range(draw(st.sampled_from((1, 2, 2, 3, 4)))):
        operation = draw(st.sampled_from(groups).flatmap(lambda group: group))
        fresh = place == 0 or draw(st.integers(0, 2)) == 0
        first = draw(st.integers(0, num_leaves - 1)) if fresh else num_leaves + place - 1
        second = draw(st.integers(0, num_leaves + place - 1))
        steps.append(Step(operation, first, second, draw(st.integers(0, _SEEDS))))
    return Loss(tuple(steps))


def coarsest(loss: Loss, leaves: Sequence[jax.Array]) -> float:
    """The largest machine epsilon of the dtypes that a loss goes through."""
    program = jax.make_jaxpr(loss)(leaves)
    return max((float(jnp.finfo(dtype).eps) for dtype in _dtypes(program.jaxpr)), default=0.0)


def _dtypes(jaxpr) -> set:
    found = {var.aval.dtype for var in jaxpr.invars if _is_floating(var)}
    for eqn in jaxpr.eqns:
        found |= {var.aval.dtype for var in eqn.outvars if _is_floating(var)}
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_program):
            if _is_program(inner):
                found |= _dtypes(getattr(inner, "jaxpr", inner))
    return found


def _is_program(value) -> bool:
    return hasattr(value, "jaxpr") or hasattr(value, "eqns")


def _is_floating(var) -> bool:
    return jnp.issubdtype(getattr(var.aval, "dtype", None), jnp.floating)
