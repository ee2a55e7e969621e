"""What an equation of a loss gives where some operands are perturbed: the table of all rules.

A rule takes an equation and its operands and returns the results, each an array or again a
perturbed array; or None where it needs arrays. An equation without a rule gets the perturbed arrays
themselves, drawn when its other operands are known, so every loss is right, whatever it is made of.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import bind
from zojax.evaluation._report import drawn
from zojax.evaluation.rules import (
    _contractions,
    _control_flow,
    _convolutions,
    _gather,
    _shapes,
    _sharding,
)

Rule = Callable[[core.JaxprEqn, list[Any]], list[Any] | None]


def interpret(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """The results of an equation, by its rule if an operand is perturbed and it has one."""
    if not any(isinstance(operand, Perturbed) for operand in operands):
        return bind(eqn, operands)
    rule = RULES.get(eqn.primitive.name)
    results = None if rule is None else rule(eqn, operands)
    return draw_operands(eqn, operands) if results is None else results


def draw_operands(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """The results for want of a rule: the perturbed operands are drawn."""
    datum = next((operand for operand in operands if _is_datum(operand)), None)
    fuses = eqn.primitive.name in _ENTRY_BY_ENTRY
    return bind(eqn, drawn(eqn, operands, datum, fuses=fuses))


# What XLA forms its operands in, entry by entry, without a buffer for them.
_ENTRY_BY_ENTRY = frozenset(
    {
        *("add", "add_any", "sub", "mul", "div", "max", "min", "neg", "abs", "sign", "select_n"),
        *("exp", "log", "tanh", "logistic", "pow", "integer_pow", "sqrt", "rsqrt"),
        *("broadcast_in_dim", "convert_element_type"),
    }
)


def _is_datum(operand: Any) -> bool:
    """Whether it can be waited for: an array with entries that are numbers."""
    return (
        isinstance(operand, jax.Array)
        and operand.size > 0
        and not jax.dtypes.issubdtype(operand.dtype, jax.dtypes.extended)
        and operand.dtype.kind in "biufV"
    )


RULES: dict[str, Rule] = {
    "dot_general": _contractions.dot_general,
    "conv_general_dilated": _convolutions.conv_general_dilated,
    "gather": _gather.gather,
    "convert_element_type": _shapes.convert_element_type,
    "copy": _shapes.same,
    "copy_p": _shapes.same,
    "stop_gradient": _shapes.same,
    "optimization_barrier": _shapes.optimization_barrier,
    "transpose": _shapes.transpose,
    "squeeze": _shapes.squeeze,
    "reshape": _shapes.reshape,
    "broadcast_in_dim": _shapes.broadcast_in_dim,
    "slice": _shapes.slice_,
    "split": _shapes.split,
    "dynamic_slice": _shapes.dynamic_slice,
    "unstack": _shapes.unstack,
    "sharding_constraint": _sharding.sharding_constraint,
    "reshard": _sharding.reshard,
}
RULES |= {
    name: functools.partial(rule, interpret)
    for name, rule in {
        "scan": _control_flow.scan,
        "while": _control_flow.while_,
        "cond": _control_flow.cond,
    }.items()
}
"""From the name of a primitive, as a jaxpr prints it, to its rule."""
