"""What goes with a method, and what does not."""

from typing import Any

from experiments._methods import METHODS

# What only a method without gradients has.
_OF_DIRECTIONS = (
    "radius",
    "num_queries",
    "sampler",
    "sampler_rank",
    "chunk_size",
    "memory_budget_gib",
)


def check_method(settings: Any) -> None:
    """Before what was left open is filled in: nothing was said that the method has no use for."""
    recipe = METHODS[settings.method]
    if recipe.takes_gradients:
        _check_gradients(settings)
    if settings.memory_budget_gib is not None and settings.chunk_size not in (None, "auto"):
        raise ValueError(
            f"memory_budget_gib is what chunk_size auto is chosen by; got chunk_size "
            f"{settings.chunk_size} as well: leave one of them out"
        )
    if settings.sampler not in (None, *recipe.samplers):
        raise ValueError(
            f"sampler {settings.sampler!r} does not go with method {settings.method!r}; leave it "
            f"out, or choose from {', '.join(recipe.samplers)}"
        )
    if recipe.one_direction and (settings.num_queries or 1) > 1:
        raise ValueError(
            f"num_queries {settings.num_queries} does not go with method {settings.method!r}, "
            "which takes one direction an update; leave it out"
        )
    if settings.adapter not in (None, "lora") and recipe.needs_lora:
        raise ValueError(
            f"method {settings.method!r} trains the atoms of an adapter; use --adapter lora"
        )


def _check_gradients(settings: Any) -> None:
    for name in _OF_DIRECTIONS:
        if getattr(settings, name) is not None:
            raise ValueError(
                f"{name} does not go with method {settings.method!r}, which takes gradients; "
                "leave it out"
            )
    if settings.learning_rate == "auto":
        raise ValueError(
            f"learning_rate auto does not go with method {settings.method!r}, which takes "
            "gradients; leave it out, or give a number"
        )
    if settings.diagnostics:
        raise ValueError(
            f"diagnostics look along directions, and method {settings.method!r} has none; leave "
            "them out"
        )
    if settings.accumulate > 1:
        raise ValueError(
            f"accumulate {settings.accumulate} does not go with method {settings.method!r}: "
            "scalars are accumulated, and it takes gradients; leave it out"
        )
    if settings.objective != "loss":
        raise ValueError(
            f"objective {settings.objective!r} has no gradient, and method {settings.method!r} "
            "takes one; choose another method"
        )
