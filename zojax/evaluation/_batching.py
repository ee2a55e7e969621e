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
    return all(_has_rule(*equation) for equation in _equations(program.jaxpr))


def _equations(jaxpr: core.Jaxpr) -> Iterator[tuple[core.JaxprEqn, tuple[bool, ...]]]:
    """Those that depend on the arguments, and which of their operands do.

    In the bodies of loops and branches all do.
    """
    dependent = set(jaxpr.invars)
    for eqn in jaxpr.eqns:
        own = tuple(isinstance(atom, core.Var) and atom in dependent for atom in eqn.invars)
        if not any(own):
            continue
        dependent.update(eqn.outvars)
        if eqn.primitive.name not in _LOOPS:
            yield eqn, own
            continue
        for param in eqn.params.values():
            for body in param if isinstance(param, tuple) else (param,):
                if isinstance(body, core.ClosedJaxpr):
                    yield from _equations(body.jaxpr)


def _has_rule(eqn: core.JaxprEqn, own: tuple[bool, ...]) -> bool:
    """Asked of `vmap` itself, once for a primitive: its tables of rules are not public."""
    # A callback has a rule if the user says how.
    how = str(eqn.params.get("vmap_method")), eqn.params.get("ordered")
    asked = (eqn.primitive, own, *how)
    if asked not in _SEEN:
        _SEEN[asked] = _try(eqn, own)
    return _SEEN[asked]


def _try(eqn: core.JaxprEqn, own: tuple[bool, ...]) -> bool:
    params = eqn.primitive.get_bind_params(eqn.params)
    operands = [
        jax.ShapeDtypeStruct((2, *atom.aval.shape) if each else atom.aval.shape, atom.aval.dtype)
        for atom, each in zip(eqn.invars, own, strict=True)
    ]
    axes = [0 if each else None for each in own]
    try:
        jax.eval_shape(jax.vmap(lambda *args: eqn.primitive.bind(*args, **params), axes), *operands)
    # The first where there is no rule, the second where a callback does not say how. Any other
    # ValueError costs time, not values: the points are evaluated one by one, and raise it there.
    except (NotImplementedError, ValueError):
        return False
    return True
