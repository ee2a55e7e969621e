"""ViT against `transformers` with torch, on fresh weights: both ways through the files."""

import jax
import jax.numpy as jnp
import make_stored_vit as reference
import numpy as np
import pytest
from flax import nnx

from zojax import lora
from zojax.models import ViT, ViTConfig, from_pretrained

torch = pytest.importorskip(
    "torch", reason="compares with PyTorch as it runs; test_vit.py has stored outputs"
)
transformers = pytest.importorskip("transformers")

PARITY = {"atol": 1e-4, "rtol": 0}
SETTINGS = [
    {},
    reference.VARIANTS["vit_oblong"],
    {"num_channels": 1, "patch_size": 1, "image_size": [2, 3], "hidden_act": "relu"},
    {"num_hidden_layers": 1, "num_attention_heads": 1, "num_labels": 5, "layer_norm_eps": 0.1},
]
run = nnx.jit(lambda model, images: (model.features(images), model(images)))


def moved_by_some(leaf):
    """Not by the same everywhere, which a norm would take out again."""
    return leaf + 0.1 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape)


def assert_same_outputs(ours, theirs, settings):
    images, labels = reference.inputs(settings, seed=9)
    expected = reference.reference(theirs, images, labels)
    features, logits = run(ours, images)
    np.testing.assert_allclose(features, expected["features"], **PARITY)
    np.testing.assert_allclose(logits, expected["logits"], **PARITY)


def load_theirs(name, folder, **kwargs):
    """Loads as a user would, and requires that every tensor found its place."""
    model, info = getattr(transformers, name).from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True, **kwargs
    )
    assert not any(info.values()), info
    return model.eval()


@pytest.mark.parametrize("settings", SETTINGS)
def test_both_ways_through_the_files(settings, tmp_path):
    theirs = reference.random_model(settings, 100)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_pretrained(tmp_path / "theirs")
    assert_same_outputs(ours, theirs, settings)
    ours.save_pretrained(tmp_path / "ours")
    again = load_theirs("AutoModelForImageClassification", tmp_path / "ours")
    assert isinstance(again, transformers.ViTForImageClassification)
    assert_same_outputs(ours, again, settings)


@pytest.mark.parametrize("add_pooling_layer", [False, True])
def test_the_bare_model(add_pooling_layer, tmp_path):
    theirs = reference.random_model({}, 1, "ViTModel", add_pooling_layer=add_pooling_layer)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    again = load_theirs("ViTModel", tmp_path / "ours", add_pooling_layer=False)
    images, _ = reference.inputs({}, seed=9)
    with torch.no_grad():
        expected = theirs(torch.tensor(images)).last_hidden_state.numpy()
        np.testing.assert_array_equal(again(torch.tensor(images)).last_hidden_state, expected)
    np.testing.assert_allclose(run(ours, images)[1], expected, **PARITY)


def test_a_new_model_has_the_defaults_of_transformers():
    theirs, ours = transformers.ViTConfig().to_dict(), ViTConfig().to_dict()
    assert ours.items() <= theirs.items()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
@pytest.mark.parametrize("targets", [["query", "value"], ["key", "*.dense"], ["projection"]])
def test_adapters_go_through_peft(targets, tmp_path):
    """That of the patches is an adapter of a convolution there."""
    peft = pytest.importorskip("peft")
    config = ViTConfig.from_dict(reference.COMMON | {"initializer_range": 0.3})
    model = ViT(config, rngs=nnx.Rngs(0))
    model.save_pretrained(tmp_path / "base")
    base = load_theirs("ViTForImageClassification", tmp_path / "base")
    adapted = lora.adapt(model, targets, rank=2, scale=2.0, key=nnx.Rngs(1)())
    graphdef, adapter, rest = nnx.split(adapted, nnx.LoRAParam, ...)
    adapted = nnx.merge(graphdef, jax.tree.map(moved_by_some, adapter), rest)
    lora.save_peft(adapted, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    images, _ = reference.inputs({}, seed=9)
    with torch.no_grad():
        expected = theirs(pixel_values=torch.tensor(images)).logits.numpy()
    np.testing.assert_allclose(run(adapted, images)[1], expected, **PARITY)
    assert np.abs(expected - run(model, images)[1]).max() > 1e-2
    again = lora.load_peft(model, tmp_path / "adapter")
    np.testing.assert_array_equal(run(again, images)[1], run(adapted, images)[1])
