"""Whether a loss is run for several points in lockstep."""

from collections.abc import Hashable, Iterator

import jax
from jax.extend import core

_LOOPS = frozenset({"scan", "while", "cond"})
_SEEN: dict[Hashable, bool] = {}


def in_lockstep(program: core.ClosedJaxpr) -> bool:
    """Whether a program is run for several points by `vmap`, or for one after another.

    Lockstep is faster: noise is drawn, and weights are read, once for all points. But `vmap` has
    to have a rule for all that a program makes of its arguments. (What it makes of constants alone,
    as data that a callback reads, is the same for all points.) And it makes groups of one
    convolution of the points, with copies of all images and kernels: of a ResNet that took more
    memory (1.11 instead of 0.97 of inference) and no less time. So where most of what a program is
    given are kernels of convolutions, points take turns.
    """
    equations = tuple(_equations(program.jaxpr))
    kernels = sum(
        times * eqn.invars[1].aval.size for eqn, own, times in equations if _convolves(eqn, own)
    )
    given = sum(atom.aval.size for atom in program.jaxpr.invars)
    return 2 * kernels <= given and all(_has_rule(eqn, own) for eqn, own, _ in equations)


def _equations(
    jaxpr: core.Jaxpr, times: int = 1
) -> Iterator[tuple[core.JaxprEqn, tuple[bool, ...], int]]:
    """Those that depend on the arguments, which of their operands do, and how often they are run.

    In the bodies of loops and branches all do; only of `scan` it is known how often.
    """
    dependent = set(jaxpr.invars)
    for eqn in jaxpr.eqns:
        own = tuple(isinstance(atom, core.Var) and atom in dependent for atom in eqn.invars)
        if not any(own):
            continue
        dependent.update(eqn.outvars)
        if eqn.primitive.name not in _LOOPS:
            yield eqn, own, times
            continue
        length = eqn.params.get("length", 1)
        for param in eqn.params.values():
            for body in param if isinstance(param, tuple) else (param,):
                if isinstance(body, core.ClosedJaxpr):
                    yield from _equations(body.jaxpr, times * length)


def _convolves(eqn: core.JaxprEqn, own: tuple[bool, ...]) -> bool:
    return eqn.primitive.name == "conv_general_dilated" and own[1]


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
