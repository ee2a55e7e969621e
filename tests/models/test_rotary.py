"""Rotary positions by their definition, and how a `config.json` of any age asks for them."""

import cmath
import math

import jax.numpy as jnp
import numpy as np
import pytest
from make_stored_gated_decoders import COMMON, LLAMA3

from zojax.models import LlamaConfig, Qwen2Config, Qwen3Config
from zojax.models._rotary import Rope, rotate, rotation

LLAMA31 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


def test_a_turn_is_a_multiplication_of_complex_numbers():
    """Entries j and j + D/2 are the parts of one number; the angle is p θ^(-2j/D)."""
    x = np.random.default_rng(0).normal(size=(1, 3, 2, 6)).astype(np.float32)
    positions = jnp.array([[0, 7, 2]])
    turned = rotate(jnp.asarray(x), rotation(Rope(rope_theta=100.0), positions, 6))
    for t, p in enumerate([0, 7, 2]):
        for head in range(2):
            for j in range(3):
                number = complex(x[0, t, head, j], x[0, t, head, j + 3])
                number *= cmath.exp(1j * p * 100.0 ** (-2 * j / 6))
                found = complex(turned[0, t, head, j], turned[0, t, head, j + 3])
                assert abs(found - number) < 1e-5


@pytest.mark.parametrize("settings", [{}, {"rope_type": "linear", "factor": 3.0}, LLAMA3])
def test_products_depend_on_how_far_apart_query_and_key_are(settings):
    query, key = np.random.default_rng(0).normal(size=(2, 1, 1, 1, 8))
    rope = Rope(**settings)

    def product(p, q):
        left = rotate(jnp.float32(query), rotation(rope, jnp.array([[p]]), 8))
        return float(jnp.sum(left * rotate(jnp.float32(key), rotation(rope, jnp.array([[q]]), 8))))

    assert product(9, 4) == pytest.approx(product(5, 0), abs=1e-5)
    assert abs(product(9, 4) - product(9, 8)) > 1e-2


def test_frequencies_of_llama_3():
    """Waves shorter than 8192/4 positions stay, those longer than 8192/1 are 8 times as long."""
    found = Rope(**LLAMA31, rope_theta=500000.0).frequencies(128)
    seen = set()
    for j, frequency in enumerate(found):
        plain = 500000.0 ** (-2 * j / 128)
        wave = 2 * math.pi / plain
        if wave < 2048:
            kind, expected = "kept", plain
        elif wave > 8192:
            kind, expected = "slowed", plain / 8
        else:
            share = (8192 / wave - 1) / 3
            kind, expected = "between", (1 - share) * plain / 8 + share * plain
        assert frequency == pytest.approx(expected, rel=1e-6)
        seen.add(kind)
    assert seen == {"kept", "slowed", "between"}


def test_bfloat16_keys_are_turned_by_float32_angles():
    """At position 1001 an angle in bfloat16 would be off by up to 2 radians."""
    x = jnp.ones((1, 1, 1, 4), jnp.bfloat16)
    positions = jnp.array([[1001]])
    turned = rotate(x, rotation(Rope(), positions, 4))
    assert turned.dtype == jnp.bfloat16
    c, s = math.cos(1001), math.sin(1001)
    np.testing.assert_allclose(np.float32(turned[0, 0, 0, ::2]), [c - s, c + s], atol=0.01)


@pytest.mark.parametrize(
    ("settings", "rope"),
    [
        ({}, Rope()),
        ({"rope_parameters": None}, Rope()),
        ({"rope_theta": 5e5}, Rope(rope_theta=5e5)),
        ({"rope_theta": 1e6, "rope_scaling": None}, Rope(rope_theta=1e6)),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, Rope("linear", factor=2.0)),
        ({"rope_theta": 5e5, "rope_scaling": LLAMA31}, Rope(**LLAMA31, rope_theta=5e5)),
        ({"rope_parameters": LLAMA31 | {"rope_theta": 5e5}}, Rope(**LLAMA31, rope_theta=5e5)),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.0}}, Rope()),
    ],
)
def test_old_and_new_settings_are_read_and_both_are_written(settings, rope):
    config = LlamaConfig.from_dict(settings)
    assert config.rope_parameters == rope
    assert hash(config) == hash(LlamaConfig(rope_parameters=rope.to_dict()))
    written = config.to_dict()
    new = {n: x for n, x in written.items() if n not in ("rope_theta", "rope_scaling")}
    old = {n: x for n, x in written.items() if n != "rope_parameters"}
    assert LlamaConfig.from_dict(new) == LlamaConfig.from_dict(old) == config


def test_llama3_without_a_length_of_pretraining_takes_the_longest_sequence():
    scaling = {name: x for name, x in LLAMA31.items() if not name.startswith("original")}
    config = LlamaConfig.from_dict({"rope_scaling": scaling, "max_position_embeddings": 4096})
    assert config.rope_parameters.original_max_position_embeddings == 4096


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type is 'dynamic'; zojax"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_type is 'yarn'"),
        ({"rope_scaling": {"type": "linear"}}, "needs factor above 0 in rope_parameters, not None"),
        ({"rope_theta": 0.0}, "needs rope_theta above 0"),
        ({"rope_parameters": {"factor": 2.0}}, "'default' has no use for factor = 2.0"),
        ({"rope_parameters": {"mrope_section": [2, 3]}}, "rope_parameters has mrope_section"),
        (
            {"rope_scaling": LLAMA31 | {"low_freq_factor": 4.0}},
            "low_freq_factor = 4.0 must be",
        ),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; zojax.models turns whole"),
        ({"head_dim": 5}, "head_dim = 5 must be even"),
        ({"num_attention_heads": 3}, "num_attention_heads = 3 must divide hidden_size = 16"),
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3 must divide num_attention_heads = 4"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be an integer of at least 1, not 0"),
        (
            {"quantization_config": {"bits": 4}},
            "quantization_config has quant_method = .*bits.*quantized",
        ),
    ],
)
def test_what_is_not_offered_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        LlamaConfig.from_dict(COMMON | settings)


@pytest.mark.parametrize("family", [Qwen2Config, Qwen3Config])
@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"use_sliding_window": False, "sliding_window": 8, "max_window_layers": 0}, False),
        ({"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2}, False),
        ({"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0}, False),
        ({"layer_types": ["full_attention", "full_attention"]}, False),
        ({"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}, True),
        ({"layer_types": ["full_attention", "sliding_attention"]}, True),
    ],
)
def test_sliding_windows_are_refused_where_a_layer_has_one(family, settings, refused):
    settings = COMMON | settings
    if refused:
        with pytest.raises(ValueError, match="layers have sliding_attention"):
            family.from_dict(settings)
    else:
        assert family.from_dict(settings).num_hidden_layers == 2
