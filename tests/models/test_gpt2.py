"""GPT-2 computes what `transformers` computes, lazily perturbed or not."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from make_stored_text_models import COMMON, STORED
from safetensors.numpy import load_file
from stored_checkpoints import WEIGHTS, assert_equal, configure, rewrite
from text_model_checks import (
    assert_lazy_is_materialized,
    assert_padding_changes_nothing,
    assert_stored_outputs,
    equations,
    run,
)

from zojax import lora
from zojax.models import GPT2, GPT2Config, from_pretrained

IDS = jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]])
TINY = COMMON["gpt2"] | {"vocab_size": 40}


@pytest.fixture
def folder(tmp_path):
    """A copy of a stored checkpoint, free to be changed."""
    return shutil.copytree(STORED / "gpt2", tmp_path / "checkpoint")


def test_outputs_are_those_of_transformers():
    assert_stored_outputs("gpt2")


def test_padding_changes_nothing():
    assert_padding_changes_nothing(from_pretrained(STORED / "gpt2"))


def test_a_call_is_features_and_then_attend():
    model = from_pretrained(STORED / "gpt2")
    features, logits = run(model, IDS)
    assert features.shape == (2, 4, 16)
    np.testing.assert_allclose(model.attend(features[:, -1]), logits[:, -1], rtol=1e-5, atol=1e-5)


def test_the_traced_program_has_the_same_size_at_every_depth():
    sizes = {
        equations(lambda depth=depth: GPT2(GPT2Config(**TINY | {"n_layer": depth}), rngs=rngs()))
        for depth in (2, 12)
    }
    assert len(sizes) == 1


def test_lazy_evaluation_is_the_materialized_one(folder):
    configure(folder, scale_attn_by_inverse_layer_idx=True)
    assert_lazy_is_materialized(from_pretrained(folder))


def test_the_divisor_of_the_second_layer_divides_its_queries(folder):
    """With queries of the second layer halved in the file, the flag has nothing left to do."""
    configure(folder, scale_attn_by_inverse_layer_idx=True)
    scaled = run(from_pretrained(folder), IDS)[1]
    configure(folder, scale_attn_by_inverse_layer_idx=False, reorder_and_upcast_attn=True)
    assert np.abs(scaled - run(from_pretrained(folder), IDS)[1]).max() > 1e-2

    def halve(tensors):
        for leaf in ("weight", "bias"):
            tensors[f"transformer.h.1.attn.c_attn.{leaf}"][..., :16] /= 2
        return tensors

    rewrite(folder, halve)
    np.testing.assert_allclose(run(from_pretrained(folder), IDS)[1], scaled, atol=1e-5, rtol=0)


def test_old_files_lack_the_prefix_and_hold_the_masks_of_the_layers(folder):
    whole = from_pretrained(folder)

    def change(tensors):
        masks = {
            f"h.{layer}.attn.{name}": np.ones(shape, np.float32)
            for layer in (0, 1)
            for name, shape in (("bias", (1, 1, 12, 12)), ("masked_bias", ()))
        }
        return masks | {n.removeprefix("transformer."): array for n, array in tensors.items()}

    rewrite(folder, change)
    assert_equal(from_pretrained(folder), whole)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_saved_model_loads_bit_for_bit(dtype, tmp_path):
    """The file has the names, shapes and values of what transformers wrote."""
    model = from_pretrained(STORED / "gpt2", dtype=dtype)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path, dtype=dtype)
    assert_equal(again, model)
    assert again.config == model.config
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(STORED / "gpt2" / WEIGHTS)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name].astype(dtype), strict=True)
    features, logits = nnx.eval_shape(lambda: (model.features(IDS), model(IDS)))
    assert features.dtype == dtype
    assert logits.dtype == jnp.float32


def test_a_classifier_starts_anew_with_a_key():
    with pytest.raises(ValueError, match=r"score\.weight\. Give a key to start a new head"):
        from_pretrained(STORED / "gpt2", head="classifier")
    model = from_pretrained(STORED / "gpt2", head="classifier", num_labels=3, key=jax.random.key(0))
    assert model.score.kernel.shape == (16, 3)
    assert_padding_changes_nothing(model)
    np.testing.assert_array_equal(
        model.wte.embedding[...], from_pretrained(STORED / "gpt2", head=None).wte.embedding[...]
    )


def test_adapters_of_the_usual_targets(tmp_path):
    """`c_proj` is two modules, one of attention and one of the feed-forward block."""
    model = from_pretrained(STORED / "gpt2")
    new = lora.adapt(model, ["c_attn", "c_proj"], rank=2, scale=2.0, key=jax.random.key(0))
    graphdef, adapter, frozen = nnx.split(new, nnx.LoRAParam, ...)
    adapted = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf + 0.1, adapter), frozen)
    logits = run(adapted, IDS)[1]
    assert np.abs(logits - run(model, IDS)[1]).max() > 0.1
    np.testing.assert_allclose(run(lora.merge(adapted), IDS)[1], logits, atol=1e-4, rtol=1e-5)
    lora.save_peft(adapted, tmp_path)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["fan_in_fan_out"] is True
    assert settings["task_type"] == "CAUSAL_LM"
    assert load_file(tmp_path / "adapter_model.safetensors").keys() == {
        f"base_model.model.transformer.h.{layer}.{module}.lora_{side}.weight"
        for layer in (0, 1)
        for module in ("attn.c_attn", "attn.c_proj", "mlp.c_proj")
        for side in "AB"
    }
    np.testing.assert_array_equal(run(lora.load_peft(model, tmp_path), IDS)[1], logits)


def test_new_maps_into_the_residual_stream_are_narrower():
    config = GPT2Config(**TINY | {"n_embd": 64}, initializer_range=0.1)
    layers = nnx.jit(lambda: GPT2(config, rngs=rngs()).layers)()
    # At least 2 * 64 * 64 draws: the relative error of a spread is 1 / sqrt(2 * 8192) = 0.008.
    np.testing.assert_allclose(layers.attn.c_attn.kernel[...].std(), 0.1, rtol=0.04)
    for module in (layers.attn, layers.mlp):
        np.testing.assert_allclose(module.c_proj.kernel[...].std(), 0.1 / 2, rtol=0.04)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"add_cross_attention": True}, "add_cross_attention is true"),
        ({"n_head": 3}, "n_head = 3 must divide n_embd = 16"),
        ({"n_inner": 0}, "n_inner must be an integer of at least 1 or null, not 0"),
        ({"activation_function": "sine"}, "activation_function is 'sine'; zojax.models has relu"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        nnx.eval_shape(lambda: GPT2(GPT2Config.from_dict(TINY | settings), rngs=rngs()))


def test_a_sequence_beyond_the_positions_is_refused():
    model = from_pretrained(STORED / "gpt2")
    with pytest.raises(ValueError, match="length 13, beyond max_position_embeddings = 12"):
        model(jnp.zeros((1, 13), jnp.int32))


def rngs():
    return nnx.Rngs(0)
