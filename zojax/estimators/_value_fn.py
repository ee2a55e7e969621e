"""The loss of a step, as a function of params alone."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from zojax._mesh import seen_inside
from zojax._typing import Params, ValueFn

# What `update` itself takes under these names cannot reach a loss.
_TAKEN = ("updates", "state", "params", "value_fn", "wide_updates")


def bound(value_fn: ValueFn, kwargs: dict[str, Any]) -> Callable[[Params], Any]:
    """value_fn with those of `kwargs` that it names.

    Raises:
      TypeError: if it names an argument that was not passed, or that cannot be.
    """
    parameters = list(inspect.signature(value_fn).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return lambda params: _called(value_fn, params, kwargs)
    named = [p for p in parameters[1:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for name in (p.name for p in named):
        if name in _TAKEN:
            raise TypeError(
                f"value_fn has an argument named {name!r}, which update takes for itself "
                f"({', '.join(_TAKEN)}): params come first, under any name; rename the other one, "
                f"e.g. value_fn=lambda p, {name}_: loss(p, {name}={name}_)"
            )
    missing = [p.name for p in named if p.default is p.empty and p.name not in kwargs]
    if missing:
        raise TypeError(
            f"value_fn needs {', '.join(missing)}: pass them by name, "
            f"update(None, state, params, value_fn=loss, {missing[0]}=...)"
        )
    passed = {p.name: kwargs[p.name] for p in named if p.name in kwargs}
    return lambda params: _called(value_fn, params, passed)


def _called(value_fn: ValueFn, params: Params, kwargs: dict[str, Any]) -> Any:
    """What the loss returns; what goes wrong in it for a reason that we know is explained."""
    try:
        return value_fn(params, **seen_inside(kwargs))
    except Exception as error:
        # By its name: the core does not import flax.
        if type(error).__name__ == "TraceContextError":
            raise TypeError(
                "value_fn changes the state of a Flax NNX module (BatchNorm's averages, the count "
                "of Dropout's keys) that was made outside of it. Merge a copy inside the loss: "
                "nnx.merge(graphdef, params, state, copy=True); what changes then stays inside, "
                "or comes out as aux"
            ) from error
        if isinstance(params, jax.Array) and params.ndim == 1:
            error.add_note(
                "value_fn was given params as one vector. If optax.flatten did that, put it "
                "behind the estimate: optax.chain(zojax.estimate_gradient(...), "
                "optax.flatten(links))"
            )
        raise
