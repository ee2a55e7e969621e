"""What goes with a schedule of the learning rate, and what does not."""

from typing import Any


def check_schedule(settings: Any) -> None:
    """The schedule has an end that its numbers describe, and a warm-up that ends before it."""
    if not 0 <= settings.end_share <= 1:
        raise ValueError(f"end_share must lie between 0 and 1; got {settings.end_share}")
    if settings.schedule == "constant":
        _check_constant(settings)
    if settings.schedule == "exponential" and not settings.end_share:
        raise ValueError(
            "schedule exponential never comes to 0; give end_share the share of the learning rate "
            "that it ends at, such as 0.01"
        )
    last = settings.decay_steps or settings.steps
    if not 0 <= settings.warmup_steps < last:
        raise ValueError(
            f"warmup_steps must lie between 0 and {last - 1}, one below "
            f"{'decay_steps' if settings.decay_steps else 'steps'}; got {settings.warmup_steps}"
        )


def _check_constant(settings: Any) -> None:
    for name in ("decay_steps", "end_share"):
        if getattr(settings, name):
            raise ValueError(
                f"{name} {getattr(settings, name)} does not go with schedule constant, which has "
                "no end; leave it out, or choose another schedule"
            )
