"""How many directions of an update are evaluated side by side, and where a run says so."""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from rich.console import Console

from experiments._job import Job
from experiments._optimizer import make_optimizer
from experiments._processes import agree, is_first
from experiments._settings import Settings
from zojax import training

_FILE = "chunks.json"


def choose_chunk_size(
    settings: Settings, job: Job, loss: Callable[..., jax.Array], console: Console
) -> int:
    """Returns the chunk size of a run; one that was chosen is printed, and kept in the folder.

    A resumed run gets the one that it began with: others would round differently. Of several
    processes the first one chooses.

    Raises:
      ValueError: if the memory is too little for one direction at a time.
    """
    if settings.chunk_size != "auto":
        return settings.chunk_size or 1
    if settings.num_queries == 1:
        return 1
    path = settings.out / _FILE
    kept = json.loads(path.read_text(encoding="utf-8")) if is_first() and path.exists() else {}
    if chunk_size := agree(kept.get("chunk_size", 0)):
        _print(console, f"{kept.get('choice')} (chosen when the run began)")
        return chunk_size
    choice = _choose(settings, job, loss)
    chunk_size = agree(choice.chunk_size)
    _print(console, str(choice))
    if is_first():
        kept = choice._asdict() | {"choice": str(choice)}
        training.write_atomically(path, json.dumps(kept, indent=2) + "\n")
    return chunk_size


def _choose(settings: Settings, job: Job, loss: Callable[..., jax.Array]) -> Any:
    data = job.objective.data
    longest = np.argsort(data.lengths())[-settings.part_size :]  # of the run
    batch = job.layout.share(data.batch(longest))

    def program_for(chunk_size: int) -> jax.stages.Lowered:
        tx = make_optimizer(settings, chunk_size, job.layout.step_axes)
        state = jax.eval_shape(tx.init, job.params)
        step = training.make_step(tx, loss)
        return step.lower(job.params, state, frozen=job.frozen, batch=batch)

    gib = settings.memory_budget_gib
    budget = None if gib is None else int(gib * 2**30)
    return training.choose_chunk_size(program_for, settings.num_queries, budget)


def _print(console: Console, text: str) -> None:
    console.print(f"[bold]chunks [/]{text}", highlight=False, soft_wrap=not console.is_terminal)
