"""The gated families compute what `transformers` computes, lazily perturbed or not."""

import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from make_stored_gated_decoders import COMMON, PADDINGS, STORED, VARIANTS, inputs
from safetensors.numpy import load_file
from stored_checkpoints import WEIGHTS, assert_equal, configure, rewrite

import zojax
from zojax import lora
from zojax.models import Llama, LlamaConfig, from_pretrained

# One shape for all tests, so that each variant is compiled once: rows of 9, 6 and 2 tokens.
IDS = jnp.asarray(inputs(seed=9)[0])
MASKS = {padding: jnp.asarray(mask) for padding, mask in inputs(seed=9)[1].items()}
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
run = nnx.jit(lambda model, ids, mask: (model.features(ids, mask), model(ids, mask)))
extend = nnx.jit(lambda model, ids, mask, cache: model.extend(ids, mask, cache))
# What is written for older readers, or only where it is not what follows from the rest.
OF_OLD_FILES = (
    *("torch_dtype", "rope_theta", "rope_scaling", "partial_rotary_factor", "head_dim"),
    *("hidden_act", "rope_local_base_freq", "sliding_window_pattern"),
)
variants = pytest.mark.parametrize("variant", VARIANTS)
quickly_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def next_token_loss(logits, ids, mask):
    """Mean cross entropy of the tokens from the second on, without padding."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], ids[:, 1:])
    return jnp.sum(losses * mask[:, 1:]) / jnp.sum(mask[:, 1:])


@variants
def test_outputs_are_those_of_transformers(variant):
    """The stored ones come from `make_stored_gated_decoders.py`; padding is compared too."""
    model = from_pretrained(STORED / variant)
    stored = np.load(STORED / variant / "reference.npz")
    ids = jnp.asarray(stored["input_ids"])
    for padding in PADDINGS:
        mask = jnp.asarray(stored[f"mask_{padding}"])
        features, logits = run(model, ids, mask)
        np.testing.assert_allclose(model.attend(features), logits, rtol=1e-5, atol=1e-6)
        found = {"features": features, "logits": logits, "loss": next_token_loss(logits, ids, mask)}
        for kind, value in found.items():
            np.testing.assert_allclose(value, stored[f"{kind}_{padding}"], atol=1e-4, rtol=0)


def test_padding_does_not_change_the_logits_of_tokens():
    """Six tokens in three rows, with none, one and three of three paddings before them."""
    model = from_pretrained(STORED / "llama")
    tokens = IDS[0, :6]
    widths = [(before, 3 - before) for before in (0, 1, 3)]
    masks = jnp.stack([jnp.pad(jnp.ones(6, jnp.int32), width) for width in widths])
    _, logits = run(model, jnp.stack([jnp.pad(tokens, width) for width in widths]), masks)
    for row, (before, _) in enumerate(widths):
        found = logits[row, before : before + 6]
        np.testing.assert_allclose(found, logits[0, :6], atol=1e-5, rtol=0)
    no_mask = model(tokens[None])[0]  # None means that every position holds a token
    np.testing.assert_allclose(logits[0, :6], no_mask, atol=1e-5, rtol=0)


def test_padding_is_finite_even_in_a_row_without_tokens():
    mask = MASKS["left"].at[1].set(0)
    _, logits = run(from_pretrained(STORED / "qwen3"), IDS, mask)
    assert jnp.all(jnp.isfinite(logits))


@variants
def test_token_by_token_is_all_at_once(variant):
    """A step writes one slot; rows padded on the left stand at other positions than the first."""
    model, mask = from_pretrained(STORED / variant), MASKS["left"]
    cache = model.empty_cache(3, 10)
    assert cache.memory.key.shape == (2, 3, 10, 2, model.config.head_dim)
    steps = []
    for t in range(9):
        features, cache = extend(model, IDS[:, t : t + 1], mask[:, t : t + 1], cache)
        steps.append(features)
    found, expected = jnp.concatenate(steps, 1), run(model, IDS, mask)[0]
    tokens = mask.astype(bool)  # what padding sees is not the same, and means nothing
    np.testing.assert_allclose(found[tokens], expected[tokens], atol=1e-5, rtol=0)


class Prefix(nnx.Module):
    """Keys and values, stacked by layer."""

    def __init__(self, key, value):
        self.past_key, self.past_value = nnx.Param(key), nnx.Param(value)


@pytest.mark.parametrize("variant", ["llama", "mistral", "gemma3"])
def test_a_prefix_of_remembered_keys_is_the_text_before(variant):
    """What two tokens left in memory, as a prefix, moves the rest by two positions.

    Windows of 4 and 3 tokens end before the prefix for the tokens at the end.
    """
    model, row = from_pretrained(STORED / variant), IDS[:1]
    expected = run(model, IDS, MASKS["none"])[1][:1, 2:]
    _, cache = extend(model, row[:, :2], jnp.ones((1, 2), jnp.int32), model.empty_cache(1, 2))
    model.layers.self_attn.prefix = Prefix(cache.memory.key[:, 0], cache.memory.value[:, 0])
    found = run(model, row[:, 2:], jnp.ones((1, 7), jnp.int32))[1]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="beyond max_position_embeddings = 22"):
        model(jnp.zeros((1, 23), jnp.int32))


@variants
def test_the_traced_program_has_the_same_size_at_every_depth(variant):
    """Equations are counted in the printed program, which shows inner programs as well."""
    family = type(from_pretrained(STORED / variant))
    settings = json.loads((STORED / variant / "config.json").read_text())
    of_layers = {n: settings[n] for n in ("layer_types", "no_rope_layers") if settings.get(n)}

    def size(depth):
        deep = {name: depth // 2 * of_two for name, of_two in of_layers.items()}
        config = family.config_class.from_dict(settings | deep | {"num_hidden_layers": depth})
        model = nnx.eval_shape(lambda: family(config, rngs=nnx.Rngs(0)))
        graphdef, params = nnx.split(model, nnx.Param)
        program = jax.make_jaxpr(lambda params: nnx.merge(graphdef, params)(IDS))(params)
        return str(program).count(" = ")

    assert size(2) == size(12)


# The others have no layer that these lack.
@pytest.mark.parametrize("variant", ["llama", "qwen3", "gemma2", "phi3"])
def test_lazy_is_materialized_and_no_matrix_is_formed(variant):
    """Packed signs and factors of rank 1, three queries with two points each."""
    graphdef, params = nnx.split(from_pretrained(STORED / variant), nnx.Param)

    def loss(params):
        logits = nnx.merge(graphdef, params)(IDS, MASKS["right"])
        return next_token_loss(logits, IDS, MASKS["right"])

    @quickly_compiled
    def both_ways(params):
        losses = {}
        for name, sampler in (("signs", zojax.rademacher()), ("rank 1", zojax.factored(1))):
            state, step = sampler.init(params), jnp.int32(0)
            directions = sampler.draw(state, jax.random.key(1), step, 3, params)[0]
            evaluate = functools.partial(
                zojax.evaluate, loss, params, directions, jnp.array([0.2, -0.2])
            )
            losses[name] = evaluate(), evaluate(materialize=True)
        return losses

    for lazy, materialized in both_ways(params).values():
        # The two sum in another order: a few hundred roundings, each relative to a loss of order 1.
        np.testing.assert_allclose(lazy, materialized, rtol=2e-5)
        assert np.ptp(materialized) > 1e-2
    for sampler in (zojax.rademacher(), zojax.factored(1)):
        found = zojax.explain(loss, params, sampler)
        assert [leaf for leaf in found if sum(n > 1 for n in leaf.shape) > 1] == []


def test_adapters_of_the_usual_targets_merge():
    model = lora.adapt(
        from_pretrained(STORED / "llama"), TARGETS, rank=2, scale=2.0, key=jax.random.key(0)
    )
    graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)
    assert len(jax.tree.leaves(adapter)) == 2 * len(TARGETS)
    adapter = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.shape[-1])), adapter)
    adapted = nnx.merge(graphdef, adapter, frozen)
    plain, merged, found = (
        run(m, IDS, MASKS["none"])[1]
        for m in (from_pretrained(STORED / "llama"), lora.merge(adapted), adapted)
    )
    np.testing.assert_allclose(merged, found, atol=5e-5, rtol=0)
    assert np.abs(found - plain).max() > 0.1


@pytest.mark.filterwarnings("ignore:.*tensors of another head")
def test_a_classifier_starts_anew_with_a_key_and_reads_the_last_token():
    with pytest.raises(ValueError, match="Give a key to start a new head"):
        from_pretrained(STORED / "llama", head="classifier")
    model = from_pretrained(
        STORED / "llama", head="classifier", num_labels=3, key=jax.random.key(0)
    )
    assert model.score.kernel.shape == (16, 3)
    mask = MASKS["right"].at[2].set(MASKS["left"][2])
    features, logits = run(model, IDS, mask)
    last = features[jnp.arange(3), jnp.array([8, 5, 8])]
    np.testing.assert_allclose(logits, last @ model.score.kernel[...], rtol=1e-5)
    assert jnp.abs(logits).min() > 0


@variants
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_saved_model_loads_bit_for_bit(variant, dtype, tmp_path):
    """And its file has the tensors of the one that transformers wrote, its config the settings."""
    model = from_pretrained(STORED / variant, dtype=dtype)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path, dtype=dtype)
    assert_equal(model, again)
    assert again.config == model.config
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(STORED / variant / WEIGHTS)
    assert {n: a.shape for n, a in ours.items()} == {n: a.shape for n, a in theirs.items()}
    config, stored = (
        json.loads((folder / "config.json").read_text()) for folder in (tmp_path, STORED / variant)
    )
    for name in OF_OLD_FILES:
        config.pop(name, None)
    assert config.items() <= stored.items()


def test_files_of_the_first_years_hold_frequencies_that_nobody_reads(tmp_path):
    folder = shutil.copytree(STORED / "llama", tmp_path / "checkpoint")
    names = [f"model.layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(2)]
    rewrite(folder, lambda tensors: tensors | dict.fromkeys(names, np.ones(4, np.float32)))
    assert_equal(from_pretrained(folder), from_pretrained(STORED / "llama"))


def test_the_body_alone_returns_features():
    body = from_pretrained(STORED / "qwen3", head=None)
    expected = run(from_pretrained(STORED / "qwen3"), IDS, MASKS["none"])[0]
    found = nnx.jit(lambda model: model(IDS))(body)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_an_unknown_gate_is_named(tmp_path):
    folder = shutil.copytree(STORED / "llama", tmp_path / "checkpoint")
    configure(folder, hidden_act="sine")
    with pytest.raises(ValueError, match="hidden_act is 'sine'; zojax"):
        from_pretrained(folder)


def test_bfloat16_weights_give_bfloat16_features_and_float32_logits():
    """No part of the model remembers the dtype it was built with."""
    model = from_pretrained(STORED / "qwen3", dtype=jnp.bfloat16)
    features, logits = run(model, IDS, MASKS["none"])
    assert (features.dtype, logits.dtype) == (jnp.bfloat16, jnp.float32)
    graphdef, params = nnx.split(from_pretrained(STORED / "qwen3"), nnx.Param)
    cast = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params))
    np.testing.assert_array_equal(run(cast, IDS, MASKS["none"])[1], logits)


def test_new_weights_have_the_stated_spread_and_layers_differ():
    config = LlamaConfig(**COMMON | {"num_hidden_layers": 3}, initializer_range=0.05)
    model = nnx.jit(lambda: Llama(config, rngs=nnx.Rngs(0)))()
    kernel = model.layers.mlp.up_proj.kernel[...]
    # 3 * 16 * 24 draws: the standard error of the spread is 0.05 / sqrt(2 * 1152) = 1.04e-3.
    np.testing.assert_allclose(kernel.std(), 0.05, atol=5 * 1.04e-3)
    assert not np.array_equal(kernel[0], kernel[1])
    assert jnp.all(model.layers.input_layernorm.scale[...] == 1)
