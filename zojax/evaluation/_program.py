"""The forward program of a loss: what exists only for differentiation is taken out of it.

Custom derivatives and rematerialization say how to go backwards. A zeroth-order evaluation never
does, and inside them a perturbed array would have to be drawn, so they and nested jits are inlined.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from zojax.evaluation._report import is_reported
from zojax.evaluation._source_lines import on_line_of
from zojax.evaluation._start_indices import with_signed_starts

_INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}
_LOOPS = frozenset({"scan", "while", "cond"})

Apply = Callable[[core.JaxprEqn, list[Any]], list[Any]]
"""(equation, operands) -> results."""


def forward_program(fn: Callable[..., Any], *args: Any) -> tuple[core.ClosedJaxpr, Any]:
    """Returns `fn` without nested jits, custom derivatives, rematerialization and unsigned starts.

    Args:
      fn: a function of arrays.
      *args: trees of arrays, or of what has their shapes and dtypes.

    Returns:
      The program, from the leaves of args to those of the result, and the result's shapes.
    """
    jaxpr, shapes = jax.make_jaxpr(fn, return_shape=True)(*args)
    inlined = jax.make_jaxpr(functools.partial(_run_inlined, jaxpr))(*jaxpr.in_avals)
    return inlined, shapes


def run(eqns: Iterable[core.JaxprEqn], values: dict[core.Var, Any], apply: Apply) -> None:
    """Runs equations one after another, and adds their results to the values of variables."""
    for eqn in eqns:
        with eqn.ctx.manager:
            results = apply(eqn, [read(values, atom) for atom in eqn.invars])
        values.update(zip(eqn.outvars, results, strict=True))


def run_program(closed: core.ClosedJaxpr, apply: Apply, *args: Any) -> list[Any]:
    """What a program gives for these arguments."""
    jaxpr = closed.jaxpr
    values = constants(closed)
    values.update(zip(jaxpr.invars, args, strict=True))
    run(jaxpr.eqns, values, apply)
    return [read(values, atom) for atom in jaxpr.outvars]


def constants(closed: core.ClosedJaxpr) -> dict[core.Var, Any]:
    """The values of the constants of a program, each of the dtype that the program says.

    An array of NumPy in float64 that a loss reads is one of float32 there.
    """

    def typed(variable: core.Var, value: Any) -> Any:
        dtype = getattr(value, "dtype", variable.aval.dtype)
        return value if dtype == variable.aval.dtype else jnp.asarray(value, variable.aval.dtype)

    pairs = zip(closed.jaxpr.constvars, closed.consts, strict=True)
    return {variable: typed(variable, value) for variable, value in pairs}


def read(values: Mapping[core.Var, Any], atom: Any) -> Any:
    """The value of a variable or a literal."""
    return atom.val if isinstance(atom, core.Literal) else values[atom]


def bind(eqn: core.JaxprEqn, operands: list[Any], **changed: Any) -> list[Any]:
    """What an equation gives for these operands, some of its parameters changed."""
    params = eqn.primitive.get_bind_params({**eqn.params, **changed})
    out = eqn.primitive.bind(*operands, **params)
    return list(out) if eqn.primitive.multiple_results else [out]


def _run_inlined(closed: core.ClosedJaxpr, *args: Any) -> list[Any]:
    return run_program(closed, _inline, *args)


def _inline(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    name = eqn.primitive.name
    with on_line_of(eqn) if is_reported() else contextlib.nullcontext():
        if name in _INLINED:
            inner = eqn.params[_INLINED[name]]
            closed = inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())
            return _run_inlined(closed, *operands)
        if name in _LOOPS:
            return bind(eqn, operands, **{key: _body(value) for key, value in eqn.params.items()})
        return bind(eqn, with_signed_starts(eqn, operands))


def _body(param: Any) -> Any:
    """The bodies of loops and branches, treated in the same way."""
    if isinstance(param, tuple):
        return tuple(_body(item) for item in param)
    if not isinstance(param, core.ClosedJaxpr):
        return param
    return jax.make_jaxpr(functools.partial(_run_inlined, param))(*param.in_avals)
