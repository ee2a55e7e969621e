"""Whether a loss can be run for several points in lockstep."""

from collections.abc import Hashable, Iterator

import jax
from jax.extend import core

_LOOPS = frozenset({"scan", "while", "cond"})
_SEEN: dict[Hashable, bool] = {}


def can_be_batched(program: core.ClosedJaxpr) -> bool:
    """Whether `vmap` has a rule for all that a program makes of its arguments.

    What it makes of constants alone (data that a callback reads) is the same for all points.
    """
    return all(map(_has_rule, _equations(program.jaxpr)))


def _equations(jaxpr: core.Jaxpr) -> Iterator[core.JaxprEqn]:
    """Those that depend on the arguments, in the bodies of loops and branches all of them."""
    dependent = set(jaxpr.invars)
    for eqn in jaxpr.eqns:
        if not any(atom in dependent for atom in eqn.invars if isinstance(atom, core.Var)):
            continue
        dependent.update(eqn.outvars)
        if eqn.primitive.name not in _LOOPS:
            yield eqn
            continue
        for param in eqn.params.values():
            for body in param if isinstance(param, tuple) else (param,):
                if isinstance(body, core.ClosedJaxpr):
                    yield from _equations(body.jaxpr)


def _has_rule(eqn: core.JaxprEqn) -> bool:
    """Asked of `vmap` itself, once for a primitive: its tables of rules are not public."""
    # A callback has a rule if the user says how.
    asked = (eqn.primitive, str(eqn.params.get("vmap_method")), eqn.params.get("ordered"))
    if asked not in _SEEN:
        _SEEN[asked] = _try(eqn)
    return _SEEN[asked]


def _try(eqn: core.JaxprEqn) -> bool:
    params = eqn.primitive.get_bind_params(eqn.params)
    points = [
        jax.ShapeDtypeStruct((2, *atom.aval.shape), atom.aval.dtype)
        for atom in eqn.invars
        if hasattr(atom.aval, "shape")
    ]
    try:
        jax.eval_shape(jax.vmap(lambda *args: eqn.primitive.bind(*args, **params)), *points)
    except (NotImplementedError, ValueError):
        return False
    return True
