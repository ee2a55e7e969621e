"""What a run of `finetune` is compared with, for a model and a task.

Prints the score on the test split of the model as it is, behind demonstrations, of a linear probe,
and after first-order fine-tuning with AdamW (a run of `finetune` in the folder --out).
"""

import dataclasses
from pathlib import Path
from typing import Literal

import jax
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from experiments import _references, tasks
from experiments._heads import HEADS, choose_head
from experiments._inputs import checked_length, load_model, model_source
from experiments._settings import Settings
from experiments.finetune import finetune


@dataclasses.dataclass(frozen=True)
class References:
    """Which model and task, and how much of each reference."""

    model: str = "opt-reviews"
    """See `experiments.finetune`; the same for all that has the same name there."""
    task: str = "reviews"
    head: Literal[HEADS] | None = None
    template: str | None = None
    options: tuple[str, ...] | None = None
    num_train: int | None = None
    num_dev: int | None = None
    num_test: int | None = None
    data_seed: int | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_length: int | None = None
    batch_size: int = 16
    seed: int = 0
    demonstrations: int = 32
    """Examples shown before every prompt; what is too long for the model is cut on the left."""
    steps: int = 200
    """Updates of AdamW; 0 leaves it out."""
    learning_rate: float | None = None
    """Of AdamW; None: that for the shipped model."""
    out: Path = Path("runs/references")
    """Folder for the run of AdamW."""


def untrained(references: References) -> dict[str, float | None]:
    """Returns the test scores of what needs no training, by name; None where it makes no sense."""
    answers = choose_head(
        model_source(references.model),
        references.task,
        head=references.head,
        template=references.template,
        options=references.options,
    )
    task, examples = tasks.load_task(
        references.task,
        head=answers.head,
        template=references.template,
        options=answers.options,
        num_train=references.num_train,
        num_dev=references.num_dev,
        num_test=references.num_test,
        data_seed=references.data_seed,
    )
    key = jax.random.key(references.seed)
    model, processor = load_model(references.model, references.dtype, task, key)
    max_length = checked_length(references.max_length, model)
    size = 2 * references.batch_size
    data = _references.Data(model, processor, task, examples, max_length, size)
    shown = references.demonstrations
    return {
        "zero-shot": _references.zero_shot(data),
        f"in context, {shown}": _references.in_context(data, shown, references.seed),
        "linear probe": _references.linear_probe(data),
    }


def first_order(references: References) -> float:
    """Returns the test score of a run of AdamW."""
    names = {field.name for field in dataclasses.fields(Settings)}
    shared = {k: v for k, v in dataclasses.asdict(references).items() if k in names}
    every = max(1, references.steps // 6)
    return finetune(Settings(method="adamw", eval_every=every, **shared)).score_after


def main() -> None:
    references = tyro.cli(References, description=__doc__)
    try:
        rows = untrained(references)
        if references.steps:
            rows[f"adamw, {references.steps} updates"] = first_order(references)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    table = Table("reference", "test score", box=box.SIMPLE)
    for name, score in rows.items():
        table.add_row(name, "" if score is None else f"{score:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
