"""Fine-tuned models made again from their seed logs, one method after another."""

import dataclasses
import filecmp
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from experiments._methods import METHODS
from experiments._seed_logs import FILE
from experiments._settings import Settings
from experiments.benchmarks._faults_row import Row
from experiments.finetune import finetune
from experiments.replay import Command, replay

# Those whose updates follow from their losses.
REPLAYED = [
    name for name, recipe in METHODS.items() if not (recipe.takes_gradients or recipe.reads_inputs)
]
# The shipped default, briefly; a run stops at the first evaluation and goes on.
STEPS = 4
RUN = {"eval_every": STEPS // 2, "max_length": 24, "num_dev": 32, "num_test": 32}
WEIGHTS = "model/model.safetensors"


def replays(number: int) -> Iterator[Row]:
    """A row: a run of each of so many methods, made again."""
    if not number:
        return
    equal = 0
    with tempfile.TemporaryDirectory() as folder:
        for method in REPLAYED[:number]:
            equal += comes_back(Settings(method=method, out=Path(folder) / method, **RUN))
        # MeZO, whose log would have 21 bytes for each further step
        log = (Path(folder) / REPLAYED[0] / FILE).stat().st_size
        checkpoint = _size(Path(folder) / REPLAYED[0] / "checkpoints" / str(STEPS))
    sizes = f"{log:,} bytes of log for {checkpoint:,} of a checkpoint"
    yield Row("run made again from its seed log", equal, len(REPLAYED[:number]), sizes)


def comes_back(settings: Settings) -> bool:
    """Whether a run that stopped in the middle and went on is made again, with every byte."""
    finetune(dataclasses.replace(settings, steps=STEPS // 2))
    finetune(dataclasses.replace(settings, steps=STEPS, resume=True))
    again = settings.out.with_name(f"{settings.out.name}_again")
    rebuilt = replay(Command(settings.out, out=again), Console(file=io.StringIO()))
    same_weights = filecmp.cmp(settings.out / WEIGHTS, again / WEIGHTS, shallow=False)
    return same_weights and rebuilt.equal == rebuilt.marks > 0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
