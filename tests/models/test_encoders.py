"""BERT and RoBERTa compute what `transformers` computes, lazily perturbed or not."""

import json
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from make_stored_text_models import COMMON, STORED
from safetensors.numpy import load_file
from stored_checkpoints import WEIGHTS, assert_equal, configure, rewrite
from text_model_checks import (
    FACTORS,
    SIGNS,
    assert_lazy_is_materialized,
    assert_padding_changes_nothing,
    assert_stored_outputs,
    equations,
    run,
)

from zojax import lora, prefix
from zojax.models import BERT, BERTConfig, RoBERTa, RoBERTaConfig, from_pretrained

IDS = jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]])
FAMILIES = {"bert": (BERT, BERTConfig), "roberta": (RoBERTa, RoBERTaConfig)}
PREDICTIONS = {"bert": "cls.predictions", "roberta": "lm_head"}
families = pytest.mark.parametrize("family", FAMILIES)
checkpoints = pytest.mark.parametrize("name", ["bert", "bert_classifier", "roberta"])
compute = nnx.jit(lambda model, *arguments: model(*arguments))


def tiny(family, head="masked_language_model", **settings):
    model, config = FAMILIES[family]
    settings = COMMON[family] | {"vocab_size": 40} | settings
    return model(config.from_dict(settings), head=head, rngs=nnx.Rngs(0))


def copy(name, tmp_path):
    return shutil.copytree(STORED / name, tmp_path / "checkpoint")


@checkpoints
def test_outputs_are_those_of_transformers(name):
    assert_stored_outputs(name)


@checkpoints
def test_padding_changes_nothing(name):
    assert_padding_changes_nothing(from_pretrained(STORED / name))


@families
def test_masked_positions_are_all_that_the_head_needs(family):
    """The head's own map, norm and bias are part of `attend`."""
    model = from_pretrained(STORED / family)
    features, logits = run(model, IDS)
    assert features.shape == (2, 4, 16)
    found = model.attend(features[jnp.arange(2), jnp.array([1, 3])])
    np.testing.assert_allclose(found, logits[jnp.arange(2), jnp.array([1, 3])], atol=1e-5)


@families
def test_no_types_are_types_of_zero(family):
    """Of RoBERTa the table has one row, so that a type of 1 is beyond it."""
    model, zeros = from_pretrained(STORED / family), jnp.zeros_like(IDS)
    mask = jnp.ones_like(IDS)
    np.testing.assert_allclose(compute(model, IDS, mask, zeros), compute(model, IDS), atol=1e-6)
    others = compute(model, IDS, mask, zeros.at[:, 2].set(1))
    assert jnp.isnan(others).any() == (family == "roberta")


@families
def test_the_traced_program_has_the_same_size_at_every_depth(family):
    sizes = {equations(lambda n=n: tiny(family, num_hidden_layers=n)) for n in (2, 12)}
    assert len(sizes) == 1


@pytest.mark.parametrize(
    ("name", "samplers"),
    [("bert", (SIGNS, FACTORS)), ("roberta", (FACTORS,)), ("bert_classifier", (SIGNS,))],
)
def test_lazy_evaluation_is_the_materialized_one(name, samplers):
    """All families share the layers, so both laws for one of them do."""
    assert_lazy_is_materialized(from_pretrained(STORED / name), samplers)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@checkpoints
def test_a_saved_model_loads_bit_for_bit(name, dtype, tmp_path):
    """The file has the names, shapes and values of what transformers wrote."""
    model = from_pretrained(STORED / name, dtype=dtype)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path, dtype=dtype)
    assert_equal(again, model)
    assert again.config == model.config
    assert again.head == model.head
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(STORED / name / WEIGHTS)
    assert ours.keys() == theirs.keys()
    for tensor in theirs:
        np.testing.assert_array_equal(ours[tensor], theirs[tensor].astype(dtype), strict=True)


def test_bfloat16_weights_give_bfloat16_features_and_float32_logits():
    model = from_pretrained(STORED / "bert", dtype=jnp.bfloat16)
    features, logits = nnx.eval_shape(lambda: (model.features(IDS), model(IDS)))
    assert features.dtype == jnp.bfloat16
    assert logits.dtype == jnp.float32


@families
def test_files_may_repeat_the_head_and_hold_what_no_head_reads(family, tmp_path):
    """Old files have the table as decoder, its bias twice, position numbers and a pooler."""
    folder, head = copy(family, tmp_path), PREDICTIONS[family]
    whole = from_pretrained(folder)

    def change(tensors):
        table = tensors[f"{family}.embeddings.word_embeddings.weight"]
        more = {
            f"{head}.decoder.weight": table.copy(),
            f"{head}.decoder.bias": tensors[f"{head}.bias"].copy(),
            f"{family}.embeddings.position_ids": np.arange(12)[None],
            f"{family}.pooler.dense.weight": np.ones((16, 16), np.float32),
            f"{family}.pooler.dense.bias": np.ones(16, np.float32),
        }
        if family == "bert":
            more |= {
                f"cls.seq_relationship.{leaf}": np.ones(shape, np.float32)
                for leaf, shape in (("weight", (2, 16)), ("bias", 2))
            }
        return tensors | more

    rewrite(folder, change)
    assert_equal(from_pretrained(folder), whole)
    assert from_pretrained(folder, head=None).head is None


@families
def test_the_bias_of_the_head_may_have_another_name_and_not_other_values(family, tmp_path):
    folder, head = copy(family, tmp_path), PREDICTIONS[family]
    whole = from_pretrained(folder)
    rewrite(folder, lambda t: t | {f"{head}.decoder.bias": t[f"{head}.bias"] + 1})
    with pytest.raises(ValueError, match=rf"holds {head}\.bias twice, with other values as"):
        from_pretrained(folder)
    rewrite(folder, lambda t: t | {f"{head}.decoder.bias": t.pop(f"{head}.bias")})
    assert_equal(from_pretrained(folder), whole)


@checkpoints
def test_norms_of_the_oldest_files_have_gamma_and_beta(name, tmp_path):
    folder = copy(name, tmp_path)
    whole = from_pretrained(folder)

    def old(name):
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return name.replace("LayerNorm.bias", "LayerNorm.beta")

    rewrite(folder, lambda tensors: {old(name): array for name, array in tensors.items()})
    assert_equal(from_pretrained(folder), whole)


@families
def test_a_body_without_a_prefix_is_the_same_body(family, tmp_path):
    folder = copy(family, tmp_path)
    body = from_pretrained(folder, head=None)
    assert_equal(getattr(body, family), getattr(from_pretrained(folder), family))
    body.save_pretrained(tmp_path / "body")
    names = load_file(tmp_path / "body" / WEIGHTS)
    assert all(name.startswith(("embeddings.", "encoder.layer.")) for name in names)
    assert_equal(from_pretrained(tmp_path / "body"), body)
    with pytest.raises(ValueError, match="the model has no head"):
        body.attend(jnp.zeros((2, 16)))


@families
def test_a_classifier_starts_anew_with_a_key(family):
    """BERT's has a pooler, which the file of a masked language model lacks as well."""
    folder = STORED / family
    with (
        pytest.raises(ValueError, match=r"classifier\..*Give a key to start a new head"),
        warnings.catch_warnings(action="ignore"),
    ):
        from_pretrained(folder, head="classifier")
    with pytest.warns(UserWarning, match="tensors of another head"):
        model = from_pretrained(folder, head="classifier", num_labels=3, key=jax.random.key(0))
    assert nnx.eval_shape(lambda: model(IDS)).shape == (2, 3)
    body = from_pretrained(folder, head=None)
    assert_equal(getattr(model, family), getattr(body, family))


def test_a_classifier_takes_the_pooler_that_is_there(tmp_path):
    folder = copy("bert_classifier", tmp_path)
    whole = from_pretrained(folder)
    rewrite(folder, lambda tensors: {n: a for n, a in tensors.items() if "classifier" not in n})
    model = from_pretrained(folder, key=jax.random.key(0))
    np.testing.assert_array_equal(model.pooler.dense.kernel, whole.pooler.dense.kernel)
    assert not np.array_equal(model.classifier.kernel, whole.classifier.kernel)


@families
def test_adapters_of_the_usual_targets(family, tmp_path):
    """`dense` is three modules of each layer, and one of the head that has to stay as it is."""
    model = from_pretrained(STORED / family)
    targets = ["query", "value", "layers.*.dense"]
    new = lora.adapt(model, targets, rank=2, scale=2.0, key=jax.random.key(0))
    graphdef, adapter, frozen = nnx.split(new, nnx.LoRAParam, ...)
    adapted = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf + 0.1, adapter), frozen)
    logits = compute(adapted, IDS)
    assert np.abs(logits - compute(model, IDS)).max() > 0.1
    np.testing.assert_allclose(compute(lora.merge(adapted), IDS), logits, atol=1e-4, rtol=1e-5)
    lora.save_peft(adapted, tmp_path)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["fan_in_fan_out"] is False
    assert settings["task_type"] is None
    modules = {
        f"{family}.encoder.layer.{layer}.{module}"
        for layer in (0, 1)
        for module in (
            *("attention.self.query", "attention.self.value", "attention.output.dense"),
            *("intermediate.dense", "output.dense"),
        )
    }
    assert set(settings["target_modules"]) == modules
    np.testing.assert_array_equal(compute(lora.load_peft(model, tmp_path), IDS), logits)


@families
def test_a_prefix_is_the_tokens_it_started_from(family, tmp_path):
    """With one layer, whose keys depend on nothing before, and a table of positions of zeros."""
    folder = copy(family, tmp_path)
    positions = f"{family}.embeddings.position_embeddings.weight"
    rewrite(
        folder,
        lambda tensors: {
            name: 0 * array if name == positions else array
            for name, array in tensors.items()
            if ".layer.1." not in name
        },
    )
    configure(folder, num_hidden_layers=1)
    model = from_pretrained(folder)
    both = compute(model, jnp.concatenate([jnp.array([[4, 13]] * 2), IDS], axis=1))[:, 2:]
    found = compute(prefix.adapt(model, tokens=[4, 13]), IDS)
    np.testing.assert_allclose(found, both, atol=1e-5, rtol=0)
    assert np.abs(both - compute(model, IDS)).max() > 1e-2


@families
def test_keys_of_the_second_layer_come_from_all_tokens(family):
    model = from_pretrained(STORED / family)
    keys = nnx.jit(lambda model, ids: model.keys_and_values(ids).key)
    left, right = keys(model, IDS), keys(model, IDS.at[:, -1].set(20))
    assert left.shape == (2, 2, 4, 4, 4)
    np.testing.assert_array_equal(left[0, :, :-1], right[0, :, :-1])
    assert jnp.all(jnp.abs(left[1] - right[1]).max(axis=(2, 3)) > 1e-3)


@families
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"is_decoder": True}, "is_decoder is True; zojax.models has"),
        ({"add_cross_attention": True}, "add_cross_attention is True; zojax.models has"),
        (
            {"position_embedding_type": "relative_key"},
            "only as an encoder with absolute positions, where it is 'absolute'",
        ),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is false"),
        ({"num_attention_heads": 3}, "num_attention_heads = 3 must divide hidden_size = 16"),
        ({"type_vocab_size": 0}, "type_vocab_size must be an integer of at least 1, not 0"),
        ({"hidden_act": "sine"}, "hidden_act is 'sine'; zojax.models has relu"),
    ],
)
def test_bad_settings_are_named(family, settings, message):
    with pytest.raises(ValueError, match=message):
        nnx.eval_shape(lambda: tiny(family, **settings))


@pytest.mark.parametrize("token", [None, 11, -1])
def test_roberta_needs_a_token_of_padding(token):
    with pytest.raises(ValueError, match=r"pad_token_id must be an integer from 0 to .* = 10"):
        tiny("roberta", pad_token_id=token)


@families
def test_bad_inputs_are_named(family):
    """Of RoBERTa's twelve positions the first two are no token's."""
    model = from_pretrained(STORED / family)
    longest = {"bert": 12, "roberta": 10}[family]
    with pytest.raises(ValueError, match=f"length {longest + 1}, beyond"):
        model(jnp.zeros((1, longest + 1), jnp.int32))
    with pytest.raises(ValueError, match=r"token_type_ids must be .*\(2, 4\), not int32\[4\]"):
        model(IDS, None, IDS[0])
    with pytest.raises(ValueError, match=r"token_type_ids must be integers"):
        model(IDS, None, 1.0 * IDS)


def test_a_configured_type_of_positions_may_be_the_usual_one(tmp_path):
    folder = copy("bert", tmp_path)
    configure(folder, position_embedding_type="absolute", is_decoder=False)
    assert_equal(from_pretrained(folder), from_pretrained(STORED / "bert"))
