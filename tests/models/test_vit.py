"""ViT computes what `transformers` computes, and its weights are perturbed where they are used."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx, serialization, traverse_util
from make_stored_vit import STORED, VARIANTS
from safetensors.numpy import load_file
from stored_checkpoints import WEIGHTS, assert_equal, configure, rewrite

import zojax
from zojax import lora, prefix
from zojax.models import ViT, ViTConfig, _format, _load, from_pretrained
from zojax.models._weights import Stored

TINY = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "image_size": 6,
    "patch_size": 2,
    "num_channels": 2,
}
IMAGES = jax.random.normal(jax.random.key(7), (2, 2, 6, 6))
run = nnx.jit(lambda model, images: model(images))
run_both = nnx.jit(lambda model, images: (model.features(images), model(images)))


def moved_by_some(leaf):
    """Not by the same everywhere, which a norm would take out again."""
    return leaf + 0.1 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape)


variants = pytest.mark.parametrize("variant", VARIANTS)


def tiny(**settings):
    settings, kwargs = dict(settings), {}
    for name in ("head", "dtype"):
        if name in settings:
            kwargs[name] = settings.pop(name)
    return ViT(ViTConfig(**TINY | settings), **kwargs, rngs=nnx.Rngs(0))


@variants
def test_outputs_are_those_of_transformers(variant):
    """Logits, last hidden states and the loss, stored by `make_stored_vit.py`."""
    model, stored = from_pretrained(STORED / variant), np.load(STORED / variant / "reference.npz")
    features, logits = run_both(model, stored["images"])
    np.testing.assert_allclose(logits, stored["logits"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(features, stored["features"], atol=1e-4, rtol=0)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, stored["labels"]).mean()
    np.testing.assert_allclose(loss, stored["loss"], atol=1e-4, rtol=0)


@variants
def test_a_saved_file_holds_the_tensors_of_transformers(variant, tmp_path):
    """Names, shapes, dtypes and values; and it loads again as the same model."""
    model = from_pretrained(STORED / variant)
    model.save_pretrained(tmp_path)
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(STORED / variant / WEIGHTS)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], strict=True)
    config = json.loads((tmp_path / "config.json").read_text())
    stored = json.loads((STORED / variant / "config.json").read_text())
    assert config.pop("torch_dtype") == stored["dtype"]
    assert config.items() <= stored.items()
    again = from_pretrained(tmp_path)
    assert_equal(again, model)
    assert again.config == model.config


def test_flax_files_hold_the_same_model(tmp_path):
    """There the kernel of the patches is (height, width, channels, out)."""
    tree = {}
    for name, array in load_file(STORED / "vit_oblong" / WEIGHTS).items():
        *modules, leaf = name.split(".")
        if leaf == "weight" and modules[-1].startswith("layernorm"):
            leaf = "scale"
        elif leaf == "weight":
            leaf, array = "kernel", array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        tree[(*modules, leaf)] = np.ascontiguousarray(array)
    written = serialization.msgpack_serialize(traverse_util.unflatten_dict(tree))
    (tmp_path / "flax_model.msgpack").write_bytes(written)
    (tmp_path / "config.json").write_text((STORED / "vit_oblong" / "config.json").read_text())
    assert_equal(from_pretrained(tmp_path), from_pretrained(STORED / "vit_oblong"))


def test_any_block_of_a_reshaped_tensor_can_be_read():
    """A device of a mesh reads its block alone."""
    model = from_pretrained(STORED / "vit_oblong")
    plan = _format.plan(model.checkpoint_format, nnx.state(model, nnx.Param))
    reshaped = [entry for entry in plan if entry[2][0].shape != entry[2][0].plain]
    assert len(reshaped) == 3
    tensors = load_file(STORED / "vit_oblong" / WEIGHTS)
    for path, param, (part,) in reshaped:
        array = tensors[part.name]
        assert array.shape == part.shape
        index = tuple(slice(n // 4, n // 2) for n in param.shape)
        stored = Stored(STORED, array.shape, "float32", array.__getitem__)
        found = _load._read(part, stored, index, jnp.float32)
        np.testing.assert_array_equal(found, param[...][index], err_msg=str(path))


def test_a_call_is_features_and_then_attend_on_the_class_token():
    model = tiny(labels=("a", "b", "c"))
    features, logits = run_both(model, IMAGES)
    assert features.shape == (2, 10, 8)
    assert logits.shape == (2, 3)
    np.testing.assert_allclose(model.attend(features[:, 0]), logits, rtol=1e-6)
    np.testing.assert_array_equal(run(tiny(head=None), IMAGES), features)


def test_the_traced_program_has_the_same_size_at_every_depth():
    def size(depth):
        graphdef, params = nnx.split(nnx.eval_shape(lambda: tiny(num_hidden_layers=depth)))
        program = jax.make_jaxpr(lambda params: nnx.merge(graphdef, params)(IMAGES))(params)
        return str(program).count(" = ")

    assert size(2) == size(12)


@pytest.mark.parametrize("law", ["rademacher", "factored"])
def test_lazy_evaluation_is_the_materialized_one_and_draws_no_kernel(law):
    """What is drawn for want of a rule are vectors, and the positions, which are added whole."""
    sampler = zojax.rademacher() if law == "rademacher" else zojax.factored(1)
    graphdef, params = nnx.split(tiny(initializer_range=0.3), nnx.Param)

    def loss(params):
        logits = nnx.merge(graphdef, params)(IMAGES)
        return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.array([0, 1])).mean()

    @jax.jit
    def both(params):
        directions = sampler.draw(sampler.init(params), jax.random.key(1), jnp.int32(0), 2, params)[
            0
        ]
        radius = jnp.array([0.2, -0.2])
        evaluate = functools.partial(zojax.evaluate, loss, params, directions, radius)
        return evaluate(), evaluate(materialize=True)

    lazy, materialized = both(params)
    np.testing.assert_allclose(lazy, materialized, rtol=2e-5)
    assert np.ptp(materialized) > 1e-2
    positions = (1, *params["embeddings"]["position_embeddings"].shape)
    whole = {leaf.shape for leaf in zojax.explain(loss, params, sampler)}
    assert {shape for shape in whole if np.prod(shape) > max(shape)} == {positions}


def test_a_prefix_of_an_images_own_keys_and_values_changes_nothing():
    """Each key is there twice then, and has half the weight twice."""
    model = tiny(initializer_range=0.3)
    expected = run_both(model, IMAGES)[0]
    memory = nnx.jit(lambda model: model.keys_and_values(IMAGES[:1]))(model)
    assert memory.key.shape == (2, 1, 10, 2, 4)
    model.layers.attention.attention.prefix = prefix.Prefix(memory.key[:, 0], memory.value[:, 0])
    found = run_both(model, IMAGES)[0]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    assert np.abs(found[1] - expected[1]).max() > 0.1


@pytest.mark.parametrize("targets", [["query", "value"], ["projection", "*.dense"]])
def test_adapters_start_as_nothing_and_merge(targets):
    model = tiny(initializer_range=0.3)
    adapted = lora.adapt(model, targets, rank=2, scale=2.0, key=jax.random.key(0))
    np.testing.assert_allclose(run(adapted, IMAGES), run(model, IMAGES), atol=1e-6)
    graphdef, adapter, rest = nnx.split(adapted, nnx.LoRAParam, ...)
    moved = nnx.merge(graphdef, jax.tree.map(moved_by_some, adapter), rest)
    merged = run(lora.merge(moved), IMAGES)
    np.testing.assert_allclose(run(moved, IMAGES), merged, atol=1e-4)
    assert np.abs(merged - run(model, IMAGES)).max() > 1e-2


def test_a_classifier_can_start_anew(tmp_path):
    tiny(head=None).save_pretrained(tmp_path)
    assert from_pretrained(tmp_path).head is None
    load = functools.partial(from_pretrained, tmp_path, head="classifier", num_labels=3)
    with pytest.raises(ValueError, match="Give a key to start a new head"):
        load()
    model = load(key=jax.random.key(0))
    assert run(model, IMAGES).shape == (2, 3)
    np.testing.assert_array_equal(run_both(model, IMAGES)[0], run(tiny(head=None), IMAGES))
    assert not model.classifier.bias[...].any()
    assert model.classifier.kernel[...].std() > 0.01


def test_the_pooler_and_the_mask_token_are_left_out(tmp_path):
    """A file of a `ViTModel` has the one, that of a `ViTForMaskedImageModeling` the other."""
    model = tiny(head=None)
    model.save_pretrained(tmp_path)
    more = {
        "pooler.dense.weight": np.ones((8, 8), np.float32),
        "embeddings.mask_token": np.ones((1, 1, 8), np.float32),
    }
    rewrite(tmp_path, lambda tensors: tensors | more)
    assert_equal(from_pretrained(tmp_path), model)
    with pytest.warns(UserWarning, match=r"another head, which are left out: pooler\.dense"):
        from_pretrained(tmp_path, head="classifier", key=jax.random.key(0))


def test_bfloat16_weights_take_any_images_and_give_float32_logits(tmp_path):
    model = tiny(dtype=jnp.bfloat16)
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.bfloat16)}
    features, logits = run_both(model, IMAGES)
    assert features.dtype == jnp.bfloat16
    assert logits.dtype == jnp.float32
    model.save_pretrained(tmp_path)
    assert_equal(from_pretrained(tmp_path, dtype=jnp.bfloat16), model)


def test_new_weights_have_the_stated_spread_and_layers_differ():
    model = tiny(hidden_size=64, initializer_range=0.05)
    kernel = model.layers.intermediate.dense.kernel[...]
    # 2 * 64 * 12 draws: the standard error of the spread is 0.05 / sqrt(2 * 1536) = 9.0e-4.
    np.testing.assert_allclose(kernel.std(), 0.05, atol=5 * 9e-4)
    np.testing.assert_allclose(model.embeddings.position_embeddings[...].std(), 0.05, atol=7e-3)
    assert not np.array_equal(kernel[0], kernel[1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (jnp.zeros((2, 6, 6, 2)), r"shape \(6, 6, 2\).*image_size ask for \(2, 6, 6\)"),
        (jnp.zeros((2, 2, 8, 8)), r"shape \(2, 8, 8\).*resize or transpose"),
        (jnp.zeros((2, 6, 6)), r"\(batch, channels, height, width\), not float32\[2, 6, 6\]"),
        (jnp.zeros((2, 2, 6, 6), jnp.uint8), "must be floating"),
    ],
)
def test_bad_images_are_named(images, message):
    with pytest.raises(ValueError, match=message):
        tiny()(images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_channels": 0}, "num_channels must be an integer of at least 1, not 0"),
        ({"num_attention_heads": 3}, "num_attention_heads = 3 must divide hidden_size = 8"),
        ({"hidden_act": "sine"}, "hidden_act is 'sine'; zojax.models has relu, gelu"),
        ({"patch_size": (2, 7)}, r"patch_size = \(2, 7\) must be at most image_size = 6"),
        (
            {"image_size": [6, 6, 6]},
            r"image_size must be .* or a list of 2, each an integer of .*, not \(6, 6, 6\)",
        ),
        ({"patch_size": 0}, "patch_size must be an integer of at least 1.*, not 0"),
        ({"head": "language_model"}, "'language_model' is none of this family's"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny(**settings)


def test_a_file_of_other_sizes_is_refused(tmp_path):
    tiny().save_pretrained(tmp_path)
    configure(tmp_path, patch_size=3)
    with pytest.raises(ValueError, match=r"projection\.weight has shape \(8, 2, 2, 2\), but"):
        from_pretrained(tmp_path)
