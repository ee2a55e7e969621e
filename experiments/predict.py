"""Ask a model: the labels of rows, answers in free text, or a chat.

    python -m experiments.predict MODEL TASK --input rows.jsonl --output predictions.jsonl
    python -m experiments.predict MODEL --chat

MODEL may be the folder of a run of `experiments.finetune`, which says what TASK is if you do not.
A row is a JSON object with the fields of the task, without its label, or a line of plain text for
the field "text". For each there comes a line with `prediction` and, where there are options, their
`probabilities`. Without --input and --output it reads from the terminal and writes to it.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

import tyro

from experiments._chat import Chat, Sampled
from experiments._compilation_cache import keep_compiled_programs
from experiments._model_and_task import ModelAndTask
from experiments._predictor import Predictor
from experiments._rows import lines_of, predictions_of
from experiments._vectors import use_wide_vectors


@dataclasses.dataclass(frozen=True)
class Predict:
    """What is asked of which model."""

    what: Annotated[ModelAndTask, tyro.conf.OmitArgPrefixes]
    sampled: Annotated[Sampled, tyro.conf.OmitArgPrefixes]
    chat: tyro.conf.FlagCreatePairsOff[bool] = False
    """Continue what is typed, line by line; with the model's chat template if it has one."""
    input: Path | None = None
    """Rows, or lines to continue; None: from the terminal."""
    output: Path | None = None
    """Where predictions go; None: to the terminal. A file that exists is not overwritten."""
    batch_size: int = 32
    """Rows at a time, of a file."""

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {self.batch_size}")


def predict(settings: Predict) -> None:
    """Writes a line for every line that is read.

    Raises:
      ValueError: for a model, or rows, that cannot be used.
      OSError: for files that cannot be read or written.
    """
    with contextlib.ExitStack() as files:
        source, target = sys.stdin, sys.stdout
        if settings.input is not None:
            source = files.enter_context(settings.input.open(encoding="utf-8"))
        if settings.output is not None:
            target = files.enter_context(settings.output.open("x", encoding="utf-8"))
        for answer in _answers(settings, source):
            print(answer, file=target, flush=True)


def _answers(settings: Predict, source: TextIO) -> Iterator[str]:
    if settings.chat:
        chat = Chat(settings.what, settings.sampled)
        return (chat.answer(line) for _, line in lines_of(source))
    # One row at a time where somebody waits for it.
    size = 1 if source.isatty() else settings.batch_size
    name = "stdin" if settings.input is None else str(settings.input)
    return predictions_of(Predictor(settings.what), lines_of(source), name, size)


def main() -> None:
    try:
        predict(tyro.cli(Predict, description=__doc__))
    except FileExistsError as error:
        raise SystemExit(
            f"error: output {error.filename} exists; choose another file, or remove it"
        ) from None
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(0) from None


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
