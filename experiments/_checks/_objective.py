"""What is minimized has a name of the list, or names a function that can be imported."""

from typing import Any

from experiments._objectives import OBJECTIVES
from experiments._rewards import PREFIX, load_reward


def check_objective(settings: Any) -> None:
    """Whether it goes with the task is seen when that is read."""
    name = settings.objective
    if name.startswith(PREFIX):
        load_reward(name)
        # A program over several devices that waits for the host can wait for ever.
        if settings.mesh is not None:
            raise ValueError(
                f"objective {name!r} asks the host for rewards, which takes one device; got mesh "
                f"{settings.mesh!r}: leave it out"
            )
    elif name not in OBJECTIVES:
        raise ValueError(
            f"objective {name!r} is unknown; choose from {', '.join(OBJECTIVES)}, "
            "reward:MODULE:FUNCTION"
        )
