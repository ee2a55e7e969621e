"""Every family, end to end, with transformers and PEFT as they run."""

import pytest

pytest.importorskip("torch", reason="transformers writes and reads checkpoints with it")
pytest.importorskip("peft", reason="it reads the adapters")

from experiments import families
from zojax import models

# PEFT asks transformers by names that are about to go.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated"),
    pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated"),
]
# This one writes an adapter, and the model with it merged: all the names of a family.
MERGED = "ar1_zo, lora"
# One of each kind: absolute and rotary positions, an encoder, pictures.
ALL_WAYS = ("opt", "qwen3", "bert", "vit")


def test_every_family_is_there():
    assert set(families.Settings().families) == set(models.families())


@pytest.mark.parametrize("family", families.Settings().families)
def test_a_family_comes_in_is_trained_and_goes_back(family, tmp_path):
    ways = tuple(families.WAYS) if family in ALL_WAYS else (MERGED,)
    rows = families.main(families.Settings((family,), ways, steps=8, out=tmp_path))
    assert [row.way for row in rows] == list(ways)
    for row in rows:
        assert row.difference <= 1e-4 < 0.1 < row.size  # logits that are not all alike
        assert row.before != row.after
