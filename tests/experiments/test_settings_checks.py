"""Settings of a trainer that are refused, with the name, the value and the remedy."""

import importlib.util

import pytest

from experiments.finetune import Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_decay": -0.1}, "weight_decay must be at least 0 and finite; got -0.1"),
        ({"weight_decay": float("inf")}, "weight_decay must be at least 0 and finite; got inf"),
        ({"weight_decay_skip": ("bias",)}, "weight_decay_skip .* and that is 0; give it a value"),
        ({"accumulate": 0}, "accumulate must be at least 1; got 0"),
        ({"accumulate": 3}, "accumulate 3 cannot cut batch_size 16 into equal parts; choose a div"),
        ({"ema_decay": 1.0}, "ema_decay must be at least 0 and below 1, such as 0.99; got 1.0"),
        ({"ema_decay": -0.1}, "ema_decay must be at least 0 and below 1"),
        ({"patience": 0}, "patience must be at least 1; got 0"),
        ({"method": "adamw", "accumulate": 2}, "accumulate 2 does not go with method 'adamw'"),
        ({"method": "adamw", "learning_rate": "auto"}, "auto does not go with method 'adamw'"),
        ({"method": "adamw", "diagnostics": True}, "diagnostics look along directions"),
        ({"method": 3}, "method 3 is unknown; choose from mezo"),
        ({"chunk_size": "all"}, "chunk_size 'all' is unknown; choose from auto"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


def test_a_library_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"wandb needs the library .*; pip install wandb, or leave"
    ):
        Settings(wandb=True)


def test_a_batch_is_cut_into_parts():
    assert Settings(batch_size=12, accumulate=3).part_size == 4
