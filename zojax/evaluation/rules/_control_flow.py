"""Rules for control flow: perturbed arrays pass through scan, while and cond.

A perturbed array that a loop carries on, or that a branch returns, is drawn: those must look alike
each time around. The loops are built anew with JAX's public functions, in which a perturbed array
is just a tree of arrays. `interpret` runs an equation of a body with its rule.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

from zojax.evaluation._met import inside_a_loop, of_loop, summarizing
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import Apply, run_program
from zojax.evaluation._report import drawn
from zojax.evaluation._sequence import own_sequence
from zojax.evaluation._shared_points import all_same, run_together, still_same


def scan(interpret: Apply, eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """A stack that is scanned over stays lazy: each layer draws its own noise."""
    consts, carry, xs = _operands_of_scan(eqn.params, operands)
    carry, stacks = drawn(eqn, carry), [_unstacked(eqn, x) for x in xs]
    body = _lazily(interpret, eqn.params["jaxpr"])

    def step(state: tuple[list[Any], jax.Array], x: list[Any]) -> tuple[Any, list[Any]]:
        carry, same = state
        args = (*consts, *carry, *x)
        with inside_a_loop() as met:
            outs = run_together(lambda *args: drawn(eqn, body(*args)), same, *args)
        return (outs[: len(carry)], still_same(same, args)), (outs[len(carry) :], met)

    same = all_same((*consts, *carry, *stacks))
    how = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
    (carry, _), (ys, met) = jax.lax.scan(step, (carry, same), stacks, **how)
    of_loop(met, [x for x in stacks if isinstance(x, Perturbed)])
    return [*carry, *ys]


def while_(interpret: Apply, eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """What the condition and the body read stays lazy."""
    of_condition, of_body, carry = _cut(
        operands, eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    )
    condition = _lazily(interpret, eqn.params["cond_jaxpr"])
    body = _lazily(interpret, eqn.params["body_jaxpr"])
    with summarizing(None):
        return jax.lax.while_loop(
            lambda carry: drawn(eqn, condition(*of_condition, *carry))[0],
            lambda carry: drawn(eqn, body(*of_body, *carry)),
            drawn(eqn, carry),
        )


def cond(interpret: Apply, eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """What a branch reads stays lazy."""
    index, *args = operands

    def branch(jaxpr: core.ClosedJaxpr) -> Callable[..., list[Any]]:
        body = _lazily(interpret, jaxpr)
        return lambda *args: drawn(eqn, body(*args))

    with summarizing(None):
        return jax.lax.switch(index, [branch(jaxpr) for jaxpr in eqn.params["branches"]], *args)


def _lazily(interpret: Apply, jaxpr: core.ClosedJaxpr) -> Callable[..., list[Any]]:
    """A program as a function of perturbed arrays."""

    def body(*args: Any) -> list[Any]:
        with own_sequence():
            return run_program(jaxpr, interpret, *args)

    return body


def _operands_of_scan(params: dict[str, Any], operands: list[Any]) -> tuple[list[Any], ...]:
    """What each time around is given alike, what is carried on, and what is scanned over."""
    if "ft_in" in params:  # jax 0.12 and later say it as a tree
        return tuple(list(group.vals) for group in params["ft_in"].update(operands).unpack())
    return _cut(operands, params["num_consts"], params["num_carry"])


def _cut(operands: list[Any], first: int, second: int) -> tuple[list[Any], list[Any], list[Any]]:
    """So many operands, so many more, and the rest."""
    return operands[:first], operands[first : first + second], operands[first + second :]


def _unstacked(eqn: core.JaxprEqn, x: Any) -> Any:
    """A stack of recipes that scan can take apart; the array where its axis 0 cuts rows."""
    if not isinstance(x, Perturbed):
        return x
    stack = x.settled().unstack()
    return drawn(eqn, [x])[0] if stack is None else stack
