"""Whether what a setting needs is installed."""

import importlib.util
from typing import Any


def check_wandb(settings: Any) -> None:
    """The library is there, if it is asked for."""
    if settings.wandb and importlib.util.find_spec("wandb") is None:
        raise ValueError(
            "wandb needs the library of that name, which is not installed; pip install wandb, or "
            "leave it out (metrics.jsonl and tensorboard/ have the same numbers)"
        )
