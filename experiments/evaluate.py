"""Score a model on a task, without training anything.

    python -m experiments.evaluate MODEL TASK

MODEL may be the folder of a run of `experiments.finetune`, which says what TASK is if you do not.
"""

import dataclasses
from typing import Annotated, Literal

import tyro
from flax import nnx
from rich.console import Console

from experiments import tasks
from experiments._compilation_cache import keep_compiled_programs
from experiments._evaluation import make_evaluate
from experiments._model_and_task import ModelAndTask
from experiments._vectors import use_wide_vectors


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """What is evaluated."""

    what: Annotated[ModelAndTask, tyro.conf.OmitArgPrefixes]
    split: Literal["test", "validation", "train"] = "test"
    """Which examples of the task."""
    batch_size: int = 32
    """Examples at a time."""

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {self.batch_size}")


def evaluate(settings: Evaluate) -> tasks.Evaluation:
    """Returns score and loss, which are those that finetune writes for the same model and split.

    Raises:
      ValueError: for a model or data that cannot be used.
      OSError: for files that cannot be read.
    """
    task, examples = tasks.load_task(**settings.what.of_task())
    model, processor, max_length = settings.what.load(task)
    # All splits, because lengths and options are padded to what the longest of them needs.
    splits = tasks.encode_splits(processor, examples, max_length=max_length, task=task)
    graphdef, weights = nnx.split(model)
    judge = make_evaluate(
        task,
        processor,
        lambda weights: nnx.merge(graphdef, weights),
        batch_size=settings.batch_size,
    )
    found = judge(weights, splits[settings.split])
    Console().print(
        f"{settings.split} {task.metric.__name__} {found.score:.1%}, loss {found.loss:.4f}, "
        f"{len(examples[settings.split]):,} examples",
        highlight=False,
    )
    return found


def main() -> None:
    try:
        evaluate(tyro.cli(Evaluate, description=__doc__))
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
