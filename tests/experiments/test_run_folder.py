"""Which folders a run may write to, and what is left of one that failed."""

import pytest
import yaml

from experiments._run_folder import check_folder, claimed


def settings(**changes):
    return yaml.safe_dump({"steps": 5, "learning_rate": 0.1, "eval_every": 2} | changes)


SETTINGS = settings()


def leave(out, text=SETTINGS, *, resume=False):
    """What a run leaves that ends before its first checkpoint."""
    with claimed(out, text, resume=resume):
        pass


def test_a_look_writes_nothing(tmp_path):
    check_folder(tmp_path / "run", SETTINGS, resume=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["checkpoints/5", "result.json", "model", "adapter"])
def test_a_folder_with_something_to_lose_is_not_overwritten(name, tmp_path):
    leave(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match="already holds a run; continue it with --resume, or"):
        check_folder(tmp_path, SETTINGS, resume=False)
    check_folder(tmp_path, SETTINGS, resume=True)


def test_a_run_that_failed_before_its_first_checkpoint_blocks_nothing(tmp_path):
    leave(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n')
    (tmp_path / "chunks.json").write_text("{}")
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "checkpoints" / "5.orbax-checkpoint-tmp").mkdir(parents=True)
    leave(tmp_path, settings(learning_rate=0.2))
    assert not {"metrics.jsonl", "chunks.json", "tensorboard"} & {
        p.name for p in tmp_path.iterdir()
    }
    assert yaml.safe_load((tmp_path / "settings.yaml").read_text())["learning_rate"] == 0.2


def test_only_the_same_run_can_be_resumed(tmp_path):
    with pytest.raises(ValueError, match="holds no run to resume; leave --resume out"):
        check_folder(tmp_path, SETTINGS, resume=True)
    leave(tmp_path)
    leave(tmp_path, settings(steps=7, eval_every=3, save_every=1), resume=True)
    assert yaml.safe_load((tmp_path / "settings.yaml").read_text())["steps"] == 7
    with pytest.raises(ValueError, match=r"learning_rate 0\.5 differs from 0\.1, with which"):
        leave(tmp_path, settings(learning_rate=0.5), resume=True)


def test_a_setting_that_came_later_had_its_default_in_an_older_run(tmp_path):
    leave(tmp_path)
    check_folder(tmp_path, settings(ema_decay=None, batch_size=16), resume=True)
    with pytest.raises(ValueError, match=r"ema_decay 0\.9 differs from None, with which"):
        check_folder(tmp_path, settings(ema_decay=0.9), resume=True)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_settings_that_are_broken_are_named(text, tmp_path):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"settings\.yaml is damaged; it must hold the settings"):
        check_folder(tmp_path, SETTINGS, resume=True)


def test_two_runs_do_not_share_a_folder(tmp_path):
    with claimed(tmp_path, SETTINGS, resume=False):
        with pytest.raises(BlockingIOError, match="another process is at work there"):
            leave(tmp_path)
        assert (tmp_path / "settings.yaml").read_text() == SETTINGS
    leave(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="run' is not a folder; choose another with --out"):
        check_folder(tmp_path / "run", SETTINGS, resume=False)
