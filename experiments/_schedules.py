"""Learning rates over a run, as optax has them."""

from collections.abc import Callable

import optax

# (rate at the start, updates until the end, rate at the end) -> schedule
SCHEDULES: dict[str, Callable[[float, int, float], optax.Schedule]] = {
    "constant": lambda rate, steps, end: optax.constant_schedule(rate),
    "linear": lambda rate, steps, end: optax.linear_schedule(rate, end, steps),
    "cosine": lambda rate, steps, end: optax.cosine_decay_schedule(rate, steps, end / rate),
    "exponential": lambda rate, steps, end: optax.exponential_decay(
        rate, steps, end / rate, end_value=end
    ),
}


def make_schedule(
    name: str, rate: float, *, warmup_steps: int, decay_steps: int | None, end: float
) -> optax.ScalarOrSchedule:
    """Returns the learning rate of every update.

    Args:
      name: in `SCHEDULES`.
      rate: what the warm-up reaches, and the decay starts from.
      warmup_steps: updates over which the rate grows in a line from 0 to `rate`.
      decay_steps: updates from the first one of all, warm-up included, until the rate has come to
        its end and stays there; None for a constant one.
      end: the rate at the end.

    Returns:
      A number, if the rate is the same in every update; else a schedule.
    """
    if name == "constant" and not warmup_steps:
        return rate
    after = SCHEDULES[name](rate, (decay_steps or 0) - warmup_steps, end)
    if not warmup_steps:
        return after
    warmup = optax.linear_schedule(0.0, rate, warmup_steps)
    return optax.join_schedules([warmup, after], [warmup_steps])


def scaled(factor: float, rate: optax.ScalarOrSchedule) -> optax.ScalarOrSchedule:
    """A learning rate that is another one times a number."""
    return (lambda step: factor * rate(step)) if callable(rate) else factor * rate
