"""What of a model is trained in the main job, and what comes out."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments._adapters import ADAPTERS
from experiments._inputs import checked_length
from experiments.finetune import Settings, finetune
from zojax import models, prefix
from zojax.training import Checkpoints

IDS = jnp.array([[1, 4, 5, 6, 9]])


@pytest.fixture(scope="module")
def base(model_folder):
    return models.from_pretrained(model_folder)


@pytest.fixture(scope="module")
def run(model_folder, task_folder, tmp_path_factory):
    """MeZO on a prefix, which is trained on accuracy."""
    settings = Settings(
        model=str(model_folder),
        task=str(task_folder),
        adapter="prefix",
        objective="accuracy",
        prefix_length=3,
        steps=6,
        batch_size=4,
        learning_rate=0.1,
        eval_every=3,
        out=tmp_path_factory.mktemp("run"),
    )
    return settings, finetune(settings)


def test_a_prefix_is_exported_for_peft_beside_the_model_as_it_was(run, base):
    settings, result = run
    model = models.from_pretrained(settings.out / "model")
    np.testing.assert_array_equal(model(IDS), base(IDS))
    loaded = prefix.load_peft(model, settings.out / "adapter")
    graphdef, like, rest = nnx.split(loaded, prefix.PrefixParam, ...)
    with Checkpoints(settings.out / "checkpoints") as checkpoints:
        (best,) = checkpoints.restore(result.best_step, params=like)
    np.testing.assert_array_equal(loaded(IDS), nnx.merge(graphdef, best, rest)(IDS))
    assert like.layers.self_attn.prefix.past_key.shape == (2, 3, 2, 4)


def test_the_objective_is_what_is_measured_while_training(run):
    """Probed values are means of two shares of four examples that were wrong."""
    settings, result = run
    lines = (settings.out / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train_loss"] for line in lines if "train_loss" in line]
    assert len(losses) == 2
    for loss in losses:
        assert 0 <= loss <= 1
        assert loss * 24 == pytest.approx(round(loss * 24), abs=1e-4)
    assert result.num_nonfinite == 0


def test_a_prefix_takes_positions(base):
    settings = Settings(adapter="prefix", prefix_length=3)
    assert ADAPTERS["prefix"].positions(settings) == 3
    assert checked_length(None, base, taken=3) == 17
    with pytest.raises(ValueError, match=r"between 3 and 17, .* \(3 are its own\); got 18"):
        checked_length(18, base, taken=3)


def test_the_longest_sequence_is_what_the_positions_of_a_model_allow():
    config = models.RoBERTaConfig(max_position_embeddings=20, pad_token_id=1)
    model = types.SimpleNamespace(config=config)
    assert checked_length(None, model) == 18
    model.config = models.ViTConfig()
    assert checked_length(None, model) == 2048


def test_lora_finds_the_layers_of_queries_and_values(base):
    settings = Settings(adapter="lora", rank=2)
    adapted = ADAPTERS["lora"].adapt(base, settings, jax.random.key(0))
    attention = nnx.state(adapted, nnx.LoRAParam).layers.self_attn
    assert set(attention) == {"q_proj", "v_proj"}

    class Other(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    with pytest.raises(ValueError, match="Other has no layers of the usual names; name those"):
        ADAPTERS["lora"].adapt(Other(), settings, jax.random.key(0))
