"""Quantized weights, and the settings that they go with."""

from typing import Any


def check_quantize(settings: Any) -> None:
    """Only frozen weights that are whole on every device are quantized."""
    if settings.quantize is None:
        return
    if settings.adapter == "none":
        raise ValueError(
            f"quantize {settings.quantize!r} stores frozen weights, and adapter none trains all of "
            "them; take --adapter lora or prefix"
        )
    if settings.shard != "none":
        raise ValueError(
            f"quantize {settings.quantize!r} keeps weights whole on every device, which does not "
            f"go with shard {settings.shard!r}; leave one of them out"
        )
