"""The forward program of a loss: what exists only for differentiation is taken out of it.

Custom derivatives and rematerialization say how to go backwards. A zeroth-order evaluation never
does, and inside them a perturbed array would have to be drawn, so they and nested jits are inlined.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core

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


def forward_only(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `fn` without nested jits, custom derivatives and rematerialization."""

    def forward(*args: Any) -> Any:
        jaxpr, shapes = jax.make_jaxpr(fn, return_shape=True)(*args)
        outs = _run(jaxpr.jaxpr, jaxpr.consts, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), outs)

    return forward


def _run(jaxpr: core.Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for eqn in jaxpr.eqns:
        with eqn.ctx.manager:
            results = _apply(eqn, [read(atom) for atom in eqn.invars])
        values.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    name = eqn.primitive.name
    if name in _INLINED:
        inner = eqn.params[_INLINED[name]]
        closed = isinstance(inner, core.ClosedJaxpr)
        return _run(inner.jaxpr if closed else inner, inner.consts if closed else (), operands)
    params = eqn.params
    if name in _LOOPS:
        params = {key: _inlined(value) for key, value in params.items()}
    out = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(params))
    return list(out) if eqn.primitive.multiple_results else [out]


def _inlined(param: Any) -> Any:
    """The bodies of loops and branches, treated in the same way."""
    if isinstance(param, tuple):
        return tuple(_inlined(item) for item in param)
    if not isinstance(param, core.ClosedJaxpr):
        return param
    return jax.make_jaxpr(lambda *args: _run(param.jaxpr, param.consts, args))(*param.in_avals)
