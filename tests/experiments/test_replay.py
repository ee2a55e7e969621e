"""A fine-tuned model made again from its seed log."""

import filecmp
import io
import json
import shutil
import sys

import jax
import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from experiments._seed_logs import FILE, bits_of
from experiments.finetune import Settings, finetune
from experiments.replay import Command, main, replay
from zojax import models
from zojax.training import Checkpoints, SeedLog, read_seed_log

STEPS = 12


@pytest.fixture(scope="module")
def make_settings(model_folder, task_folder, tmp_path_factory):
    def make(**changes):
        values = {
            "model": str(model_folder),
            "task": str(task_folder),
            "steps": STEPS,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "sampler": "rademacher",
            "eval_every": 4,
            "out": str(tmp_path_factory.mktemp("run")),
        }
        return Settings(**values | changes)

    return make


@pytest.fixture(scope="module")
def out(make_settings):
    """The folder of a run that was interrupted: four steps, and eight more by a second one."""
    settings = make_settings(steps=4)
    finetune(settings)
    finetune(make_settings(out=settings.out, resume=True))
    return settings.out


def again(log, tmp_path, **asked):
    """What comes out, and what is said."""
    said = io.StringIO()
    rebuilt = replay(Command(log, out=tmp_path / "again", **asked), Console(file=said, width=500))
    return rebuilt, said.getvalue()


def assert_same_files(ours, theirs, without=()):
    names = sorted(path.name for path in theirs.iterdir())
    assert sorted(path.name for path in ours.iterdir()) == names
    names = [name for name in names if name not in without]
    assert filecmp.cmpfiles(ours, theirs, names, shallow=False)[0] == names


def test_a_run_leaves_a_log_of_a_few_bytes_a_step(out):
    log = read_seed_log(out / FILE)
    assert log.losses.shape == (STEPS, 2)
    assert sorted(log.marks) == [4, 8, 12]
    assert log.header["method"] == "mezo"
    assert log.header["settings"]["learning_rate"] == 1e-2
    assert (log.header["generator"], log.header["key"]) == ("threefry2x32", [0, 0])
    assert (out / FILE).stat().st_size - len(json.dumps(log.header)) == 20 + 21 * (STEPS + 3)


def test_the_model_comes_back_with_every_file(out, tmp_path):
    """The step with the least validation loss, as finetune chose; nothing but the log is read."""
    best = json.loads((out / "result.json").read_text())["best_step"]
    alone = shutil.copy(out / FILE, tmp_path / "sent.bin")
    rebuilt, said = again(alone, tmp_path)
    assert f"with every bit that the run had at {best // 4} of {best // 4} marks" in said
    assert "the run made" not in said  # of which nothing is here
    assert rebuilt.calls == best
    assert (rebuilt.equal, rebuilt.marks) == (best // 4, best // 4)
    assert_same_files(tmp_path / "again" / "model", out / "model")


def test_any_step_comes_back_bit_by_bit(out, tmp_path, model_folder):
    rebuilt, _ = again(out, tmp_path, step=STEPS)
    _, like = nnx.split(models.from_pretrained(model_folder), nnx.Param)
    with Checkpoints(out / "checkpoints") as checkpoints:
        (stored,) = checkpoints.restore(STEPS, params=like)
    jax.tree.map(np.testing.assert_array_equal, rebuilt.params, stored)
    between, _ = again(out, tmp_path / "between", step=6)
    assert (between.calls, between.marks) == (6, 1)
    start, _ = again(out, tmp_path / "start", step=0)
    assert bits_of(start.params) == bits_of(like)
    with pytest.raises(ValueError, match=r"step 13 is not in .* the steps 0 to 12"):
        again(out, tmp_path / "none", step=13)


def changed(path, tmp_path, **changes):
    """The same log with another header."""
    contents = read_seed_log(path)
    log = tmp_path / f"{next(iter(changes))}.bin"
    with SeedLog(log, contents.header | changes) as writer:
        for step, losses in enumerate(contents.losses, start=1):
            writer.append(losses[None])
            if step in contents.marks:
                writer.mark(contents.marks[step].loss, contents.marks[step].fingerprint)
    return log


def test_what_does_not_belong_to_the_log_is_refused_by_name(out, tmp_path, model_folder, tokenizer):
    header = read_seed_log(out / FILE).header

    def refused(match, **changes):
        with pytest.raises(ValueError, match=match):
            again(changed(out / FILE, tmp_path, **changes), tmp_path)
        assert not (tmp_path / "again").exists()

    with_settings = lambda **new: {"settings": header["settings"] | new}  # noqa: E731
    refused(r"belongs to the key \[0, 0\], but the settings give \[0, 1\]", **with_settings(seed=1))
    refused("generator rbg", generator="rbg")
    refused(r"another base: params.* float32.* bfloat16", **with_settings(dtype="bfloat16"))
    refused("shape .* a step of this estimator has", **with_settings(num_queries=2))
    refused("unknown here \\(moon\\)", **with_settings(moon=1))
    refused("method 'magic' is unknown", **with_settings(method="magic"))
    refused("not those of the run, bit by bit", **with_settings(learning_rate=2e-2))

    other = models.from_pretrained(model_folder)
    other.layers.fc1.bias[...] += 1e-3
    other.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match=r"another base: params.*fc1.*bias.* \(--base\)"):
        again(out, tmp_path, base=str(tmp_path / "other"))

    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "mine").write_text("")
    with pytest.raises(ValueError, match="is not an empty folder"):
        again(out, tmp_path)


def test_other_software_is_named_and_its_bits_are_counted(out, tmp_path):
    """Here it is the same in truth, so all are equal."""
    header = read_seed_log(out / FILE).header
    versions = header["versions"] | {"jaxlib": "0.0.1"}
    log = changed(out / FILE, tmp_path, versions=versions, device="abacus")
    rebuilt, said = again(log, tmp_path)
    assert "the run had jaxlib 0.0.1 (here" in said
    assert "device abacus (here" in said
    assert rebuilt.equal == rebuilt.marks > 0


def test_the_command_says_what_is_wrong_in_one_line(out, tmp_path, monkeypatch):
    data = (out / FILE).read_bytes()
    torn = tmp_path / "flipped.bin"
    torn.write_bytes(data[:-30] + b"!" + data[-29:])
    for log, said in ((torn, "damaged at byte"), (tmp_path / "none.bin", "No such file")):
        monkeypatch.setattr(sys, "argv", ["replay", str(log), "--out", str(tmp_path / "new")])
        with pytest.raises(SystemExit, match=f"error: .*{said}"):
            main()


@pytest.mark.slow
@pytest.mark.parametrize(
    "trained", [{"adapter": "lora"}, {"adapter": "prefix"}, {"head": "classifier"}], ids=str
)
def test_what_is_made_from_the_seed_comes_back(make_settings, tmp_path, trained):
    settings = make_settings(
        **trained, steps=4, dtype="bfloat16", num_queries=2, sampler="gaussian", seed=3
    )
    finetune(settings)
    rebuilt, _ = again(settings.out, tmp_path)
    assert rebuilt.equal == rebuilt.marks == 1
    # How a tokenizer was last told to cut texts stays in its file.
    without = ("tokenizer.json",) if settings.head else ()
    for folder in ("adapter", "model")[settings.adapter == "none" :]:
        assert_same_files(tmp_path / "again" / folder, settings.out / folder, without)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "bfloat16", "update_precision": "stochastic"},
        {"dtype": "float16", "update_precision": "float32_masters"},
        {"dtype": "bfloat16", "adapter": "lora", "quantize": "nf4"},
    ],
    ids=["stochastic", "masters", "quantized"],
)
def test_weights_of_few_bits_come_back(make_settings, tmp_path, changes):
    settings = make_settings(steps=4, learning_rate=1e-5, **changes)
    finetune(settings)
    rebuilt, _ = again(settings.out, tmp_path)
    assert rebuilt.equal == rebuilt.marks == 1
    assert_same_files(tmp_path / "again" / "model", settings.out / "model")


@pytest.mark.slow
def test_gradients_leave_no_log(make_settings, capsys):
    settings = make_settings(method="adamw", steps=4, sampler=None)
    finetune(settings)
    assert not (settings.out / FILE).exists()
    assert "no seed log: adamw takes gradients" in capsys.readouterr().out


@pytest.mark.slow
def test_what_was_logged_behind_the_checkpoint_of_a_killed_run_is_dropped(
    make_settings, tmp_path, capsys
):
    """With parts of batches, and an average in the place of the weights; then a damaged log."""
    settings = make_settings(steps=4, accumulate=2, ema_decay=0.5)
    finetune(settings)
    path = settings.out / FILE
    with SeedLog.resume(path, 8) as log:
        log.append(np.ones((3, 2), np.float32))
    path.write_bytes(path.read_bytes() + b"torn")
    go_on = {"out": settings.out, "accumulate": 2, "ema_decay": 0.5, "resume": True}
    finetune(make_settings(steps=8, **go_on))
    rebuilt, _ = again(settings.out, tmp_path, step=8)
    assert (rebuilt.calls, rebuilt.equal, rebuilt.marks) == (16, 2, 2)
    best = json.loads((settings.out / "result.json").read_text())["best_step"]
    again(settings.out, tmp_path / "best", step=best)
    assert_same_files(tmp_path / "best" / "again" / "model", settings.out / "model")

    path.write_bytes(path.read_bytes()[:-40])
    before = path.read_bytes()
    finetune(make_settings(steps=12, **go_on))
    assert "no seed log from here on" in capsys.readouterr().out
    assert path.read_bytes() == before
