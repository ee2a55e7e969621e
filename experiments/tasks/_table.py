"""All tasks that have a name."""

from typing import NamedTuple

from experiments.tasks import _countdown, _images, _masked, _qa, _superglue
from experiments.tasks._columns import strip_texts
from experiments.tasks._kinds import Classification
from experiments.tasks._task import Task

OWN = "reviews"
_REVIEWS = Task(Classification("{text} It was {option}", ("terrible", "great")), row=strip_texts)

# The shipped reviews are in experiments/assets/reviews.
TASKS: dict[str, Task] = {
    OWN: _REVIEWS,
    **_superglue.TASKS,
    **_qa.TASKS,
    **_masked.TASKS,
    **_images.TASKS,
    **_countdown.TASKS,
}


class Description(NamedTuple):
    """A task in a list.

    Attributes:
      name: by which it is asked for.
      kind: what is asked.
      source: where its rows are.
      metric: what a score means.
    """

    name: str
    kind: str
    source: str
    metric: str


def describe() -> list[Description]:
    """One row for each task."""
    return [
        Description(
            name,
            type(task.kind).__name__.lower(),
            "shipped" if task.source is None else str(task.source),
            task.metric.__name__,
        )
        for name, task in TASKS.items()
    ]
