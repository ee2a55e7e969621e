"""What goes with a mesh, and what does not."""

from typing import Any

from experiments._methods import METHODS


def check_mesh(settings: Any) -> None:
    """The axes of the mesh are those that the run uses."""
    mesh, axes = settings.mesh, settings.axes or {}
    if settings.shard == "tensor" and "model" not in axes:
        raise ValueError(
            f"shard tensor cuts products over the axis model; got mesh {mesh!r}: say "
            "--mesh model=N, with N devices"
        )
    if settings.shard == "fsdp" and axes and not {"data", "model"} & axes.keys():
        raise ValueError(
            f"shard fsdp stores weights over the axis data or model; got mesh {mesh!r}: "
            "add one of them"
        )
    if settings.shard == "none" and axes.get("model", 1) > 1:
        raise ValueError(
            f"mesh {mesh!r} has an axis model, which shard none does not use; choose "
            "--shard fsdp or tensor, or leave the axis out"
        )
    if "query" in axes and METHODS[settings.method].takes_gradients:
        raise ValueError(
            f"mesh {mesh!r} shares out directions, and method {settings.method!r} has none; "
            "leave the axis query out"
        )
    if "query" in axes and settings.num_queries % axes["query"]:
        raise ValueError(
            f"num_queries {settings.num_queries} cannot be shared out evenly among query="
            f"{axes['query']} of the mesh; choose a multiple"
        )
