"""The chunk size of the main job where nothing has to be tried."""

import pytest
from rich.console import Console

from experiments import finetune as job
from experiments._chunks import choose_chunk_size
from experiments._endings import Ending
from experiments.finetune import Settings


@pytest.mark.parametrize(
    ("changes", "chunk_size"),
    [
        ({"num_queries": 8, "chunk_size": 4}, 4),
        ({"num_queries": 1}, 1),
        ({"method": "adamw"}, 1),
    ],
)
def test_nothing_is_tried_where_there_is_no_choice(changes, chunk_size, tmp_path):
    settings = Settings(**changes, out=tmp_path)
    assert choose_chunk_size(settings, None, None, Console()) == chunk_size
    assert not list(tmp_path.iterdir())


def test_the_command_line_takes_auto_and_numbers(monkeypatch):
    seen = []
    monkeypatch.setattr(job, "prepare", seen.append)
    outcome = job.Outcome(Ending("finished", ""), None)
    monkeypatch.setattr(job, "train", lambda settings, job: outcome)
    for given in ("auto", "3"):
        monkeypatch.setattr("sys.argv", ["finetune", "--chunk-size", given])
        job.main()
    assert [settings.chunk_size for settings in seen] == ["auto", 3]
