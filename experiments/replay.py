"""Make a fine-tuned model again from the checkpoint it came from and a seed log of some kilobytes.

No data are read and no loss is evaluated. The folder --out receives the model in the Hugging Face
layout, as `experiments.finetune` writes it.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import tyro
from flax import nnx
from rich.console import Console

from experiments._averaging import averaged
from experiments._compilation_cache import keep_compiled_programs
from experiments._export import export
from experiments._inputs import load_processor, model_source
from experiments._job import adapter_key, split_trained
from experiments._layout import Layout, local
from experiments._optimizer import make_optimizer
from experiments._seed_logs import FILE, bits_of, check_origin, is_alone, origin, software
from experiments._settings import Settings
from experiments._vectors import use_wide_vectors
from zojax import models, training


@dataclasses.dataclass(frozen=True)
class Command:
    """What is made again."""

    log: tyro.conf.Positional[Path]
    """A seed log, or the folder of a run that has one."""
    base: str | None = None
    """The checkpoint that the run started from, as --model of finetune takes it; None: the one that
    the log names."""
    step: int | None = None
    """After so many updates; None: where the validation loss was least, as finetune chooses."""
    out: Path = Path("runs/replayed")
    """Folder for the model."""

    def __post_init__(self):
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            raise ValueError(f"out {str(self.out)!r} is not an empty folder; choose another")


class Rebuilt(NamedTuple):
    """What came out.

    Attributes:
      calls: of the transformation that were made, so many of which are a step.
      params: after them.
      state: of the transformation.
      seconds: for them, without compiling.
      equal: marks of the log where every bit was that of the run.
      marks: those that were passed.
    """

    calls: int
    params: Any
    state: Any
    seconds: float
    equal: int
    marks: int


def replay(command: Command, console: Console) -> Rebuilt:
    """Makes the params of a step, compares them with every mark on the way, and writes the model.

    Raises:
      OSError: if there is no log or no base.
      ValueError: if the log is damaged before the step, has no such step, or belongs to something
        else; if bits are not those of the run although versions and device are.
    """
    path = command.log / FILE if command.log.is_dir() else command.log
    settings = _settings(path, training.read_seed_log(path, stop=0).header, command)
    calls = None if command.step is None else command.step * settings.accumulate
    log = training.read_seed_log(path, stop=calls)
    calls = _chosen(path, log, calls, settings.accumulate)
    layout = _layout(settings)
    model, processor = _load(settings, log.header, layout)
    graphdef, *weights = split_trained(model, settings)
    params, frozen = layout.replicate(weights)
    tx = make_optimizer(settings, 1, layout.step_axes)
    with jax.set_mesh(layout.mesh):
        lies = jax.tree.map(lambda leaf: leaf.sharding, params), layout.of_state(tx, params)
        state = jax.jit(tx.init, out_shardings=lies[1])(params)
        check_origin(path, log.header, origin(params, frozen, state))
        # Several updates in a call, or of several runs, are another program, which may round
        # otherwise.
        one_by_one = settings.steps_per_call == 1 and is_alone(log.header)
        strict = _is_same_software(log.header, console) and one_by_one
        make = training.make_replay(tx, shardings=lies)
        rebuilt = _rebuild(make, params, state, log, calls, strict=strict)
        best = averaged(rebuilt.params, rebuilt.state)
    _report(path, rebuilt, settings.accumulate, console)
    export(settings, nnx.merge(graphdef, local(best), local(frozen)), processor)
    console.print(f"model: {settings.out}", soft_wrap=True, highlight=False, markup=False)
    return rebuilt


def _settings(path: Path, header: dict[str, Any], command: Command) -> Settings:
    """Those of the run, with the base and the folder of this command."""
    known = {field.name for field in dataclasses.fields(Settings)}
    if unknown := sorted(header["settings"].keys() - known):
        raise ValueError(
            f"{path} was written with settings that are unknown here ({', '.join(unknown)}); "
            f"replay it with zojax {header['versions']['zojax']}, which wrote it"
        )
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in header["settings"].items()
    }
    return Settings(**given | {"out": command.out, "model": command.base or given["model"]})


def _chosen(path: Path, log: training.SeedLogContents, calls: int | None, accumulate: int) -> int:
    """The calls that are asked for, or those up to the step that finetune would choose."""
    known = len(log.losses)
    if calls is None:
        judged = [mark for mark in log.marks.values() if mark.loss == mark.loss]
        # Of equal ones the latest, as `training.Checkpoints` has it.
        return min(judged, key=lambda mark: (mark.loss, -mark.step)).step if judged else known
    if not 0 <= calls <= known:
        raise ValueError(
            f"step {calls // accumulate} is not in {path}, which has the steps 0 to "
            f"{known // accumulate}"
        )
    return calls


def _layout(settings: Settings) -> Layout:
    """That of the run, if there are as many devices; else whole weights on all of them."""
    try:
        return Layout(settings.part_size, settings.axes, settings.shard)
    except ValueError:
        return Layout(jax.device_count())


def _load(settings: Settings, header: dict[str, Any], layout: Layout) -> tuple[nnx.Module, Any]:
    """The model with the head that the run gave it, and what made arrays for it."""
    source, starts = model_source(settings.model), {}
    if header["labels"]:
        starts = {"labels": header["labels"], "key": adapter_key(settings)}
    model = models.from_pretrained(
        source,
        dtype=jnp.dtype(settings.dtype),
        head=header["head"],
        allow_pickle=settings.allow_pickle,
        **starts,
        **layout.placement,
    )
    return model, load_processor(source, model)


def _is_same_software(header: dict[str, Any], console: Console) -> bool:
    """Whether numbers are rounded as in the run, as far as is known; says so if not."""
    theirs, ours = ({**part["versions"], "device": part["device"]} for part in (header, software()))
    different = [
        f"{name} {theirs[name]} (here {ours[name]})" for name in ours if theirs[name] != ours[name]
    ]
    if different:
        console.print(
            f"the run had {', '.join(different)}: the model may differ by roundings",
            highlight=False,
        )
    return not different


def _rebuild(
    make: Any, params: Any, state: Any, log: training.SeedLogContents, calls: int, *, strict: bool
) -> Rebuilt:
    """Makes the calls, from mark to mark.

    Raises:
      ValueError: if `strict`, and bits are not those of the run.
    """
    done, seconds, equal = 0, 0.0, 0
    marks = [step for step in log.marks if step <= calls]
    if calls:  # compiled before the clock runs
        make = make.lower(params, state, log.losses[0]).compile()
    for stop in sorted({calls, *marks}):
        begin = time.perf_counter()
        for losses in log.losses[done:stop]:
            params, state = make(params, state, losses)
        jax.block_until_ready(params)
        seconds, done = seconds + time.perf_counter() - begin, stop
        if stop not in log.marks:
            continue
        is_equal = bits_of(params) == log.marks[stop].fingerprint
        if strict and not is_equal:
            raise ValueError(
                f"the params after {stop} updates are not those of the run, bit by bit, although "
                "the versions and the kind of device are the same: another CPU, other XLA_FLAGS, "
                "or a fault of the hardware. Nothing was written"
            )
        equal += is_equal
    return Rebuilt(calls, params, state, seconds, equal, len(marks))


def _report(path: Path, rebuilt: Rebuilt, accumulate: int, console: Console) -> None:
    steps = rebuilt.calls / accumulate
    rate = f"{steps / rebuilt.seconds:,.0f} a second" if steps else "none to make"
    result = path.parent / "result.json"
    if result.is_file():
        seconds = json.loads(result.read_text(encoding="utf-8"))["step_seconds"]
        rate += f"; the run made {1 / (accumulate * seconds):,.0f}"
    console.print(
        f"step {steps:,.0f} made again from {path.stat().st_size:,} bytes ({rate}), with every bit "
        f"that the run had at {rebuilt.equal} of {rebuilt.marks} marks",
        highlight=False,
        soft_wrap=True,
    )


def main() -> None:
    try:
        replay(tyro.cli(Command, description=__doc__), Console())
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
