"""Runs side by side get what each of them gets alone, on a tiny model."""

import dataclasses
import functools
import io
import json
import shutil
import signal
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from experiments import _lanes, _run
from experiments._groups import Group
from experiments._interruption import Stopped
from experiments._job import prepare
from experiments._optimizer import make_optimizer
from experiments._programs import make_loss
from experiments._settings import Settings
from experiments._side_by_side import check_side_by_side, finetune_side_by_side
from experiments._training_loop import train_together
from experiments.finetune import finetune
from experiments.replay import Command, replay
from zojax import training

OWN = ({"learning_rate": 1e-3, "seed": 3}, {"learning_rate": 3e-3, "seed": 4})
CALLS = 4
ABOUT_TIME = ("tokens_per_second", "evaluations_per_second")


@pytest.fixture(scope="module")
def uneven_folder(tmp_path_factory):
    """Reviews of which few are long, so that batches alone are not of one length."""
    folder = tmp_path_factory.mktemp("task")
    texts = ["the food"] * 10 + ["the film and the food and the film"] * 2
    lines = [
        json.dumps({"text": f"{text} {word}", "label": label}) + "\n"
        for text in texts
        for label, word in enumerate(("bad", "good"))
    ]
    for split in ("train", "validation", "test"):
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def make_each(model_folder, uneven_folder, tmp_path_factory):
    """Settings of two runs, or of more."""

    def make(*more, **changes):
        values = {
            "model": str(model_folder),
            "task": str(uneven_folder),
            "steps": 20,
            "batch_size": 4,
            "eval_every": 5,
            "radius": 0.1,  # so that differences of losses are far above their rounding
        }
        return [
            Settings(**values | changes | own, out=tmp_path_factory.mktemp("run"))
            for own in (*OWN, *more)
        ]

    return make


@pytest.fixture(scope="module")
def make_runs(make_each):
    """What lanes know of runs."""

    def make(**changes):
        jobs = [(settings, prepare(settings)) for settings in make_each(**changes)]
        return [
            types.SimpleNamespace(
                settings=settings,
                job=job,
                order=training.batches(24, settings.part_size, settings.seed),
            )
            for settings, job in jobs
        ]

    return make


@pytest.fixture(scope="module")
def runs(make_runs):
    return make_runs()


def together_of(runs):
    data = runs[0].job.objective.data
    return _lanes.batches(data, [run.order for run in runs], CALLS)


def side_by_side(each):
    consoles = [Console(file=io.StringIO()) for _ in each]
    return finetune_side_by_side(each, consoles), consoles


@pytest.fixture(scope="module")
def together(make_each):
    each = make_each()
    return each, *side_by_side(each)


@pytest.fixture(scope="module")
def alone(make_each):
    each = make_each()
    return [finetune(settings) for settings in each]


def about_training(folder):
    """The lines of metrics.jsonl but for speeds."""
    lines = training.read_metrics(folder)
    return [{k: v for k, v in line.items() if k not in ABOUT_TIME} for line in lines]


def test_every_run_gets_what_it_gets_alone(together, alone):
    """Losses of each update, evaluations, and the checkpoint that is chosen."""
    _, results, _ = together
    for ours, theirs in zip(results, alone, strict=True):
        assert (ours.ended, ours.best_step) == (theirs.ended, theirs.best_step)
        own, other = about_training(ours.out), about_training(theirs.out)
        for found, wanted in zip(own, other, strict=True):
            assert found == pytest.approx(wanted, rel=1e-3, nan_ok=True)
        losses = [
            training.read_seed_log(result.out / "seed_log.bin").losses for result in (ours, theirs)
        ]
        assert losses[0].shape == (20, 2)
        np.testing.assert_allclose(*losses, rtol=1e-4)


def test_every_run_leaves_the_files_of_a_run(together, alone):
    each, results, consoles = together
    for settings, result in zip(each, results, strict=True):
        assert {path.name for path in alone[0].out.iterdir()} == {
            path.name for path in settings.out.iterdir()
        }
        stored = json.loads((settings.out / "result.json").read_text())
        assert stored["learning_rate"] == settings.learning_rate
        assert stored["step_over_forwards"] == result.step_over_forwards > 0
    assert "step 20/20" in consoles[0].file.getvalue()


class Seen:
    """A run that is over at a step, and looks and speaks like an `Observed`."""

    def __init__(self, over_at):
        self.run, self.window, self.last = self, self, None
        self.settings, self.interruption = types.SimpleNamespace(accumulate=1), self
        self.over_at, self.looks = over_at, []

    def logs_at(self, step):
        return step % 2 == 0

    def stop_after(self, *, looking):
        return None

    def add(self, measured, tokens):
        assert tokens == 7

    def read(self, step):
        return {}

    def look(self, step, numbers, params, state, group, *, stops):
        self.looks.append((step, params))
        self.last = step if step >= self.over_at else None
        return False


def test_a_run_that_is_over_leaves_the_others_alone():
    runs = [Seen(8), Seen(4)]
    groups = [Group(step, 1, {}, tokens=14) for step in range(1, 20)]
    updates = []

    def update(params, state, group):
        updates.append(group.last)
        return params + 1, state, {}

    def apart(params, state):
        return [(params, state), (-params, state)]

    train_together(runs, update, groups, 0, None, apart)
    assert runs[0].looks == [(2, 2), (4, 4), (6, 6), (8, 8)]
    assert runs[1].looks == [(2, -2), (4, -4)]
    assert updates == list(range(1, 9))


def test_a_log_is_replayed_up_to_roundings(together, tmp_path):
    _, results, _ = together
    rebuilt = replay(Command(results[0].out, out=tmp_path), Console(file=io.StringIO()))
    with training.Checkpoints(results[0].out / "checkpoints") as checkpoints:
        (params,) = checkpoints.restore(rebuilt.calls, params=rebuilt.params)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(near, rebuilt.params, params)


def test_runs_that_were_stopped_go_on_side_by_side_or_alone(
    make_each, together, monkeypatch, tmp_path
):
    """Side by side with the bits of those that were not."""
    each = make_each()
    groups_of = _run.Run.groups_of

    def interrupted(run, *arguments):
        for group in groups_of(run, *arguments):
            if group.last == 3:
                signal.raise_signal(signal.SIGTERM)
            yield group

    with monkeypatch.context() as patch:
        patch.setattr(_run.Run, "groups_of", interrupted)
        with pytest.raises(Stopped) as stopped:
            side_by_side(each)
    assert stopped.value.step == 3
    for settings in each:
        note = json.loads((settings.out / "result.json").read_text())
        assert (note["ended"], note["step"]) == ("stopped by signal", 3)

    shutil.copytree(each[0].out, tmp_path / "run")
    alone = finetune(dataclasses.replace(each[0], out=tmp_path / "run", resume=True))
    assert alone.loss_after == pytest.approx(together[1][0].loss_after, rel=1e-3)

    again = [dataclasses.replace(settings, resume=True) for settings in each]
    results, consoles = side_by_side(again)
    assert "resumed at step 3" in consoles[0].file.getvalue()
    for ours, theirs in zip(results, together[1], strict=True):
        assert (ours.score_after, ours.loss_after) == (theirs.score_after, theirs.loss_after)


def test_batches_are_those_of_each_run_padded_alike(runs):
    rows = together_of(runs)
    lengths = set()
    for call in range(CALLS):
        alone = [run.job.objective.data.batch(run.order[call]) for run in runs]
        lengths.add(tuple(batch["input_ids"].shape[-1] for batch in alone))
        for lane, batch in enumerate(alone):
            for name in ("input_ids", "attention_mask"):
                own = batch[name]
                padded = rows[call][name][lane]
                np.testing.assert_array_equal(padded[..., -own.shape[-1] :], own)
                assert not padded[..., : -own.shape[-1]].any()
    assert any(len(set(pair)) > 1 for pair in lengths)


@pytest.mark.parametrize(
    "changes",
    [
        {
            **{"schedule": "exponential", "warmup_steps": 2, "end_share": 0.1},
            **{"weight_decay": 0.1, "accumulate": 2, "ema_decay": 0.9, "dtype": "bfloat16"},
        },
        {"method": "ar1_zo"},
    ],
    ids=["every setting of an update", "an adapter"],
)
def test_an_update_of_all_is_that_of_each(make_runs, changes):
    """By `vmap`; whole runs, on a CPU, go in turn."""
    runs = make_runs(**changes)
    job, loss = runs[0].job, make_loss(runs[0].job)
    axes = job.layout.step_axes
    alone, starts = [], []
    with jax.set_mesh(job.layout.mesh):
        for run in runs:
            tx = make_optimizer(run.settings, 1, axes)
            params = run.job.params
            starts.append(jax.tree.map(jnp.copy, (params, tx.init(params))))
            step = training.make_step(tx, loss)
            trees = starts[-1]
            for call in range(CALLS):
                batch = job.objective.data.batch(run.order[call])
                *trees, measured = step(
                    *jax.tree.map(jnp.copy, trees), frozen=job.frozen, batch=batch
                )
            alone.append((trees[0], measured))
        tx = _lanes.make_optimizer(runs[0].settings, 1, axes, in_turn=False)
        step = training.make_step(tx, loss)
        trees, batches = _lanes.join(starts), together_of(runs)
        rate = jnp.array([run.settings.learning_rate for run in runs])
        for call in range(CALLS):
            *trees, measured = step(*trees, frozen=job.frozen, batch=batches[call], rate=rate)
    for lane, (params, wanted) in enumerate(alone):
        for name, number in wanted.items():
            np.testing.assert_allclose(measured[name][lane], number, rtol=1e-3, atol=1e-5)
        own, _ = _lanes.split(*trees)[lane]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), own, params
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": 1e-2}, "radius is 0.001, 0.01: runs .* make a sweep for each radius"),
        ({"method": "agzo"}, "method is mezo, agzo: runs side by side may differ in learning_rate"),
        ({"learning_rate": "auto"}, "learning_rate auto finds a rate for a run alone; give number"),
        ({"learning_rate": 1e-30, "seed": 7}, None),
    ],
)
def test_what_cannot_be_side_by_side_is_named(changes, message):
    each = [Settings(), Settings(**changes)]
    if message is None:
        return check_side_by_side(each)
    with pytest.raises(ValueError, match=message):
        check_side_by_side(each)
