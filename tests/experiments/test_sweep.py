"""A grid of runs; the runs themselves are stood in for, and one test makes a real one."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments._config_file import to_yaml
from experiments._grid import axes_of, cells
from experiments._methods import METHODS
from experiments._sweep_table import Status, over_seeds
from experiments.sweep import Sweep, sweep

GRID = ("learning_rate=1e-4,3e-4", "seed=0,1")


def quiet():
    return Console(file=io.StringIO(), width=200)


class Standin:
    """Leaves what a run leaves; the loss says which it was."""

    def __init__(self, failing=(), stopping=()):
        self.made, self.failing, self.stopping = [], failing, stopping

    def __call__(self, settings):
        self.made.append(settings.out.name)
        print("a line of the run")
        (settings.out / "settings.yaml").write_text(to_yaml(settings))
        if settings.out.name in self.failing:
            raise ValueError("no such data")
        if settings.out.name in self.stopping:
            note = json.dumps({"ended": "stopped by signal", "step": 7})
            (settings.out / "result.json").write_text(note)
            raise KeyboardInterrupt
        result = {"loss_after": 1e3 * settings.learning_rate + settings.seed, "score_after": 0.5}
        (settings.out / "result.json").write_text(json.dumps(result))


def test_a_grid_is_all_combinations_over_the_flags(tmp_path):
    found = cells(GRID, ["--steps", "7"], tmp_path)
    assert [(cell.settings.learning_rate, cell.settings.seed) for cell in found] == [
        (1e-4, 0),
        (1e-4, 1),
        (3e-4, 0),
        (3e-4, 1),
    ]
    assert {cell.settings.steps for cell in found} == {7}
    assert found[1].name == "learning_rate=1e-4,seed=1"
    assert found[1].settings.out == tmp_path / found[1].name


def test_a_method_of_the_grid_brings_its_own_numbers(tmp_path):
    for cell in cells(["method=mezo,r_adazo,ar1_zo"], [], tmp_path):
        recipe = METHODS[cell.values["method"]]
        assert cell.settings.radius == recipe.radius or cell.settings.adapter == "lora"
        assert cell.settings.num_queries == recipe.num_queries
        assert cell.settings.learning_rate == recipe.rate(cell.settings.adapter)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate", "must have the form NAME=VALUE,VALUE"),
        ("learning_rate=1e-4,", "must have the form NAME=VALUE,VALUE"),
        ("rate=1", "rate is no setting of a cell"),
        ("out=a,b", "out is no setting of a cell"),
        ("seed=0,0", "has a value twice"),
    ],
)
def test_a_grid_that_makes_no_sense_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        axes_of([text])
    with pytest.raises(ValueError, match="names seed twice"):
        axes_of(["seed=0", "seed=1"])


def test_a_stopped_sweep_goes_on_and_a_longer_grid_adds_runs(tmp_path):
    asked = Sweep(GRID, tmp_path)
    stopped = Standin(stopping=("learning_rate=1e-4,seed=1",))
    with pytest.raises(KeyboardInterrupt):
        sweep(asked, console=quiet(), run=stopped)
    assert stopped.made == ["learning_rate=1e-4,seed=0", "learning_rate=1e-4,seed=1"]
    rest = Standin()
    statuses = sweep(asked, console=quiet(), run=rest)
    assert rest.made == [
        "learning_rate=1e-4,seed=1",
        "learning_rate=3e-4,seed=0",
        "learning_rate=3e-4,seed=1",
    ]
    assert [status.state for status in statuses] == ["done"] * 4
    assert statuses[0].seconds is None
    more = Standin()
    sweep(Sweep(("learning_rate=1e-4,3e-4", "seed=0,1,2"), tmp_path), console=quiet(), run=more)
    assert more.made == ["learning_rate=1e-4,seed=2", "learning_rate=3e-4,seed=2"]
    lines = [json.loads(line) for line in (tmp_path / "sweep.jsonl").read_text().splitlines()]
    assert [(line["learning_rate"], line["seed"]) for line in lines[:2]] == [
        ("1e-4", "0"),
        ("1e-4", "1"),
    ]
    assert len(lines) == 6


def test_the_run_that_was_stopped_is_resumed(tmp_path):
    folder = tmp_path / "seed=0"
    folder.mkdir()
    (before,) = cells(["seed=0"], [], tmp_path)
    (folder / "settings.yaml").write_text(to_yaml(before.settings))
    (after,) = cells(["seed=0"], [], tmp_path)
    assert not before.settings.resume
    assert after.settings.resume


def test_a_run_with_other_settings_is_refused_before_any_is_made(tmp_path):
    sweep(Sweep(("seed=1",), tmp_path), console=quiet(), run=Standin())
    run = Standin()
    with pytest.raises(ValueError, match="batch_size 4 differs from 16"):
        sweep(Sweep(("seed=0,1",), tmp_path), ["--batch-size=4"], console=quiet(), run=run)
    assert run.made == []


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path):
    console = quiet()
    run = Standin(failing=("seed=0",))
    statuses = sweep(Sweep(("seed=0,1",), tmp_path), console=console, run=run)
    assert [status.state for status in statuses] == ["failed: no such data", "done"]
    shown = console.file.getvalue()
    assert "1 of 2 runs done" in shown
    assert "failed: no such data" in shown
    assert "a line of the run" not in shown
    assert (tmp_path / "seed=1" / "log.txt").read_text() == "a line of the run\n"


def test_runs_side_by_side_come_in_groups_and_a_single_one_alone(tmp_path):
    run, groups = Standin(), []

    def together(each, consoles):
        groups.append([settings.out.name for settings in each])
        for settings, console in zip(each, consoles, strict=True):
            console.print("a line of", settings.out.name)
            run(settings)

    sweep(Sweep(("seed=1",), tmp_path), console=quiet(), run=run)
    asked = Sweep(("seed=0,1,2,3",), tmp_path, side_by_side=2)
    statuses = sweep(asked, console=quiet(), run=run, together=together)
    assert groups == [["seed=0", "seed=2"]]
    assert run.made == ["seed=1", "seed=0", "seed=2", "seed=3"]
    assert [status.state for status in statuses] == ["done"] * 4
    assert (tmp_path / "seed=2" / "log.txt").read_text() == "a line of seed=2\n"


def test_runs_that_fail_side_by_side_are_all_named(tmp_path):
    def together(each, consoles):
        raise ValueError("no such data")

    asked = Sweep(("seed=0,1",), tmp_path, side_by_side=2)
    statuses = sweep(asked, console=quiet(), together=together)
    assert [status.state for status in statuses] == ["failed: no such data"] * 2


def test_a_grid_that_cannot_be_side_by_side_is_refused_before_any_run(tmp_path):
    run = Standin()
    with pytest.raises(ValueError, match="method is mezo, zoar: runs side by side may differ in"):
        sweep(
            Sweep(("method=mezo,zoar", "seed=0,1"), tmp_path, side_by_side=2),
            console=quiet(),
            run=run,
        )
    assert run.made == []
    with pytest.raises(ValueError, match="side_by_side must be at least 1, got 0"):
        Sweep((), side_by_side=0)


def test_means_are_over_seeds_and_a_run_that_diverged_is_last():
    def status(rate, seed, loss):
        return Status(
            {"learning_rate": rate, "seed": seed}, "done", {"loss_after": loss, "score_after": 0.5}
        )

    console = quiet()
    console.print(
        over_seeds(
            [
                status("1", "0", None),
                status("1", "1", 0.1),
                status("2", "0", 3.0),
                status("2", "1", 1.0),
            ]
        )
    )
    lines = [line for line in console.file.getvalue().splitlines() if "0.5000" in line]
    assert "2.0000 ± 1.0000" in lines[0]
    assert "nan" in lines[1]


def test_a_real_run_leaves_what_the_table_reads(tmp_path, model_folder, task_folder):
    flags = ["--steps=2", "--batch-size=4", "--eval-every=2", f"--task={task_folder}"]
    flags.append(f"--model={model_folder}")
    (status,) = sweep(Sweep(("seed=3",), Path(tmp_path)), flags, console=quiet())
    assert status.state == "done"
    assert status.result["loss_after"] > 0
    (again,) = sweep(Sweep(("seed=3",), Path(tmp_path)), flags, console=quiet())
    assert again.result == status.result
    assert again.seconds is None
