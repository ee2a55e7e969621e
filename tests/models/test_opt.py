"""OPT computes what `transformers` computes, in a program whose size does not grow with depth."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from stored_checkpoints import FIXTURES, VARIANTS

from zojax.models import OPT, OPTConfig, from_pretrained

TINY = {
    "vocab_size": 32,
    "hidden_size": 8,
    "ffn_dim": 16,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
}
IDS = jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]])
run = nnx.jit(lambda model, ids, mask=None: model(ids, mask))


def next_token_loss(logits, ids, mask):
    """Mean cross entropy of the tokens from the second on, without padding."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], ids[:, 1:])
    return jnp.sum(losses * mask[:, 1:]) / jnp.sum(mask[:, 1:])


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_and_loss_are_those_of_transformers(variant):
    """The stored outputs come from `make_opt_fixtures.py`; padding positions are compared too."""
    model = from_pretrained(FIXTURES / variant)
    stored = np.load(FIXTURES / variant / "reference.npz")
    ids = jnp.asarray(stored["input_ids"])
    for padding in ("none", "left", "right"):
        mask = jnp.asarray(stored[f"mask_{padding}"])
        logits = run(model, ids, mask)
        np.testing.assert_allclose(logits, stored[f"logits_{padding}"], atol=1e-4, rtol=0)
        loss = next_token_loss(logits, ids, mask)
        np.testing.assert_allclose(loss, stored[f"loss_{padding}"], atol=1e-4, rtol=0)


def test_no_mask_means_no_padding():
    model = from_pretrained(FIXTURES / "pre_norm")
    np.testing.assert_array_equal(run(model, IDS), run(model, IDS, jnp.ones_like(IDS)))


@pytest.mark.parametrize("variant", ["pre_norm", "post_norm_projected"])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_padding_does_not_change_the_logits_of_tokens(variant, before):
    model = from_pretrained(FIXTURES / variant)
    width = ((0, 0), (before, 3 - before))
    mask = jnp.pad(jnp.ones_like(IDS), width)
    padded = run(model, jnp.pad(IDS, width, constant_values=1), mask)
    np.testing.assert_allclose(padded[:, before : before + 4], run(model, IDS), atol=1e-5, rtol=0)


def test_padding_is_finite_even_in_a_row_without_tokens():
    model = from_pretrained(FIXTURES / "pre_norm")
    mask = jnp.array([[0, 0, 1, 1], [0, 0, 0, 0]])
    assert jnp.all(jnp.isfinite(run(model, IDS, mask)))


def test_a_call_is_features_and_then_attend():
    model = from_pretrained(FIXTURES / "post_norm_projected")
    features = model.features(IDS)
    assert features.shape == (2, 4, model.config.word_embed_proj_dim)
    np.testing.assert_array_equal(model.attend(features), model(IDS))
    np.testing.assert_array_equal(model.attend(features[:, -1]), model(IDS)[:, -1])


def test_the_traced_program_has_the_same_size_at_every_depth():
    """Equations are counted in the printed program, which shows inner programs as well."""

    def size(depth):
        graphdef, params = nnx.split(
            nnx.eval_shape(
                lambda: OPT(OPTConfig(**TINY, num_hidden_layers=depth), rngs=nnx.Rngs(0))
            ),
            nnx.Param,
        )
        program = jax.make_jaxpr(lambda params: nnx.merge(graphdef, params)(IDS))(params)
        return str(program).count(" = ")

    assert size(2) == size(12)


def test_bfloat16_weights_give_bfloat16_features_and_float32_logits():
    """The logits are the float32 product of features and table, not a rounded one."""
    model = OPT(OPTConfig(**TINY, num_hidden_layers=2), dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    params = nnx.state(model, nnx.Param)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}
    features, logits = model.features(IDS), model(IDS)
    assert features.dtype == jnp.bfloat16
    assert logits.dtype == jnp.float32
    table = model.embed_tokens.embedding[...]
    expected = np.float32(features) @ np.float32(table).T
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_params_cast_after_loading_are_used_as_they_are():
    """No part of the model remembers the dtype it was built with."""
    graphdef, params = nnx.split(from_pretrained(FIXTURES / "pre_norm"), nnx.Param)
    cast = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params))
    loaded = from_pretrained(FIXTURES / "pre_norm", dtype=jnp.bfloat16)
    np.testing.assert_array_equal(run(cast, IDS), run(loaded, IDS))


def test_new_weights_have_the_stated_spread_and_layers_differ():
    config = OPTConfig(**TINY | {"hidden_size": 64}, num_hidden_layers=3, init_std=0.05)
    kernel = OPT(config, rngs=nnx.Rngs(0)).layers.fc1.kernel[...]
    # 3 * 64 * 16 draws: the standard error of the spread is 0.05 / sqrt(2 * 3072) = 6.4e-4.
    np.testing.assert_allclose(kernel.std(), 0.05, atol=5 * 6.4e-4)
    assert not np.array_equal(kernel[0], kernel[1])


@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        (jnp.zeros((1, 17), jnp.int32), None, "length 17, beyond max_position_embeddings = 16"),
        (jnp.zeros(4, jnp.int32), None, r"\(batch, length\), not int32\[4\]"),
        (jnp.zeros((1, 4)), None, "must be integers"),
        (jnp.zeros((1, 4), jnp.int32), jnp.ones((1, 5)), r"\(1, 5\), input_ids \(1, 4\)"),
    ],
)
def test_bad_inputs_are_named(ids, mask, message):
    model = OPT(OPTConfig(**TINY, num_hidden_layers=1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=message):
        model(ids, mask)


def test_an_id_beyond_the_vocabulary_gives_nan_and_not_another_token():
    model = OPT(OPTConfig(**TINY, num_hidden_layers=1), rngs=nnx.Rngs(0))
    assert jnp.all(jnp.isnan(run(model, jnp.array([[TINY["vocab_size"]]]))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers must be an integer of at least 1, not 0"),
        ({"num_attention_heads": 3}, "num_attention_heads = 3 must divide hidden_size = 8"),
        (
            {"activation_function": "sine"},
            "activation_function is 'sine'; zojax.models has relu, gelu",
        ),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        OPT(OPTConfig(**TINY | settings), rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("dtype", "most"), [(jnp.float16, 0.01), (jnp.bfloat16, 0.08)])
def test_narrow_weights_give_nearly_the_same_logits_in_float32(dtype, most):
    wide = run(from_pretrained(FIXTURES / "pre_norm"), IDS)
    narrow = run(from_pretrained(FIXTURES / "pre_norm", dtype=dtype), IDS)
    assert narrow.dtype == jnp.float32
    difference = jnp.abs(narrow - wide).max()
    assert 0 < difference < most * jnp.abs(wide).max()


def test_a_body_has_features_and_no_logits():
    body = from_pretrained(FIXTURES / "untied", head=None)
    features = from_pretrained(FIXTURES / "untied").features(IDS)
    np.testing.assert_array_equal(body(IDS), features)
    with pytest.raises(ValueError, match="the model has no head; load it with one"):
        body.attend(features)
