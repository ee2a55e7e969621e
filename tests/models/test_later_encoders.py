"""DistilBERT and ModernBERT compute what `transformers` computes, lazily perturbed or not."""

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
from stored_checkpoints import WEIGHTS, assert_equal, configure
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
from zojax.models import (
    DistilBERT,
    DistilBERTConfig,
    ModernBERT,
    ModernBERTConfig,
    from_pretrained,
)

IDS = jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]])
FAMILIES = {
    "distilbert": (DistilBERT, DistilBERTConfig),
    "modernbert": (ModernBERT, ModernBERTConfig),
}
families = pytest.mark.parametrize("family", FAMILIES)
compute = nnx.jit(lambda model, *arguments: model(*arguments))


def tiny(family, head="masked_language_model", **settings):
    model, config = FAMILIES[family]
    settings = COMMON[family] | {"vocab_size": 40} | settings
    return model(config.from_dict(settings), head=head, rngs=nnx.Rngs(0))


@families
def test_outputs_are_those_of_transformers(family):
    assert_stored_outputs(family)


@families
def test_padding_changes_nothing(family):
    assert_padding_changes_nothing(from_pretrained(STORED / family))


@families
def test_the_traced_program_has_the_same_size_at_every_depth(family):
    depth = {"distilbert": "n_layers", "modernbert": "num_hidden_layers"}[family]
    sizes = {equations(lambda n=n: tiny(family, **{depth: n})) for n in (2, 12)}
    assert len(sizes) == 1


# DistilBERT has no layer that BERT lacks.
@pytest.mark.parametrize(("family", "samplers"), [("modernbert", (SIGNS, FACTORS))])
def test_lazy_evaluation_is_the_materialized_one(family, samplers):
    assert_lazy_is_materialized(from_pretrained(STORED / family), samplers)


@families
def test_a_saved_model_loads_bit_for_bit(family, tmp_path):
    """The file has the names, shapes and values of what transformers wrote."""
    model = from_pretrained(STORED / family)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path)
    assert_equal(again, model)
    assert again.config == model.config
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(STORED / family / WEIGHTS)
    assert ours.keys() == theirs.keys()
    for tensor in theirs:
        np.testing.assert_array_equal(ours[tensor], theirs[tensor], strict=True)
    written, stored = (
        json.loads((folder / "config.json").read_text()) for folder in (tmp_path, STORED / family)
    )
    assert {name: stored[name] for name in written.keys() & stored.keys()} == {
        name: written[name] for name in written.keys() & stored.keys()
    }
    assert COMMON[family].keys() - written.keys() == set()


@families
def test_a_classifier_starts_anew_with_a_key_where_the_file_has_none(family):
    """ModernBERT's has a map before it that the head of a masked language model has too."""
    folder = STORED / family
    with (
        pytest.raises(ValueError, match=r"classifier\..*Give a key to start a new head"),
        warnings.catch_warnings(action="ignore"),
    ):
        from_pretrained(folder, head="classifier")
    with pytest.warns(UserWarning, match="tensors of another head"):
        model = from_pretrained(folder, head="classifier", num_labels=3, key=jax.random.key(0))
    mask = jnp.array([[0, 1, 1, 1], [1, 1, 1, 0]])
    logits = compute(model, IDS, mask)
    features = nnx.jit(lambda model: model.features(IDS, mask))(model)
    first = features[jnp.arange(2), jnp.array([1, 0])]
    np.testing.assert_allclose(model.attend(first), logits, atol=1e-5)
    if family == "modernbert":
        masked = from_pretrained(folder).prediction
        np.testing.assert_array_equal(model.prediction.dense.kernel, masked.dense.kernel)
    body = from_pretrained(folder, head=None)
    np.testing.assert_array_equal(compute(body, IDS, mask), features)
    with pytest.raises(ValueError, match="the model has no head"):
        body.attend(features)


def test_a_classifier_may_read_the_mean_over_the_tokens():
    model = tiny("modernbert", head="classifier", classifier_pooling="mean")
    mask = jnp.array([[0, 1, 1, 1], [1, 1, 0, 0]])
    features = nnx.jit(lambda model: model.features(IDS, mask))(model)
    means = jnp.stack([features[0, 1:].mean(0), features[1, :2].mean(0)])
    np.testing.assert_allclose(compute(model, IDS, mask), model.attend(means), atol=1e-5)


@families
def test_adapters_of_the_usual_targets_merge(family, tmp_path):
    model = from_pretrained(STORED / family)
    targets = {"distilbert": ["query", "layers.*.dense"], "modernbert": ["qkv_proj", "down_proj"]}
    new = lora.adapt(model, targets[family], rank=2, scale=2.0, key=jax.random.key(0))
    graphdef, adapter, frozen = nnx.split(new, nnx.LoRAParam, ...)
    adapted = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf + 0.1, adapter), frozen)
    logits = compute(adapted, IDS)
    assert np.abs(logits - compute(model, IDS)).max() > 0.1
    np.testing.assert_allclose(compute(lora.merge(adapted), IDS), logits, atol=2e-4, rtol=1e-5)
    lora.save_peft(adapted, tmp_path)
    np.testing.assert_array_equal(compute(lora.load_peft(model, tmp_path), IDS), logits)


def test_a_prefix_is_visible_from_beyond_the_window(tmp_path):
    """A change of its second value reaches all tokens, of which each sees two on either side."""
    folder = shutil.copytree(STORED / "modernbert", tmp_path / "checkpoint")
    configure(folder, layer_types=["sliding_attention"] * 2)
    ids = jnp.arange(5, 14)[None]
    behind = prefix.adapt(from_pretrained(folder), tokens=[4, 13])
    before = compute(behind, ids)
    value = behind.layers.attn.prefix.past_value
    value[...] = value[...].at[:, 1].add(0.5)
    assert jnp.all(jnp.abs(compute(behind, ids) - before).max(-1) > 1e-3)


def test_a_token_sees_half_a_window_on_either_side():
    """In one layer: a change of the last token reaches the two before it and no other."""
    model = tiny("modernbert", num_hidden_layers=1, layer_types=["sliding_attention"])
    ids = jnp.arange(5, 14)[None]
    left, right = (run(model, i)[0] for i in (ids, ids.at[0, -1].set(30)))
    changed = np.abs(left - right).max(-1)[0] > 0
    np.testing.assert_array_equal(changed, np.arange(9) >= 6)


@pytest.mark.parametrize(
    ("family", "settings", "message"),
    [
        ("distilbert", {"n_heads": 3}, "must divide"),
        ("distilbert", {"tie_word_embeddings": False}, "tie_word_embeddings is false"),
        ("modernbert", {"tie_word_embeddings": False}, "tie_word_embeddings is false"),
        ("modernbert", {"classifier_pooling": "last"}, "classifier_pooling must be 'cls' or"),
        ("modernbert", {"local_attention": 0}, "local_attention must be an integer of at least 1"),
        ("modernbert", {"classifier_activation": "sine"}, "classifier_activation is 'sine'"),
    ],
)
def test_bad_settings_are_named(family, settings, message):
    with pytest.raises(ValueError, match=message):
        nnx.eval_shape(lambda: tiny(family, **settings))
