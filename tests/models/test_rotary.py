"""Rotary positions by their definition, and how a `config.json` of any age asks for them."""

import cmath
import math

import jax.numpy as jnp
import numpy as np
import pytest
from make_stored_gated_decoders import COMMON, DYNAMIC, LLAMA3, ROPE_WIDTH, ROPES, STORED, YARN

from zojax.models import (
    Gemma3Config,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)
from zojax.models._rope import Rope
from zojax.models._rotary import rotate, rotation

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


@pytest.mark.parametrize("name", ROPES)
def test_scaled_frequencies_are_those_of_transformers(name):
    """The stored ones come from `make_stored_gated_decoders.py`."""
    settings, length = ROPES[name]
    settings = COMMON | settings | {"head_dim": ROPE_WIDTH}
    kind = Phi3Config if "original_max_position_embeddings" in settings else LlamaConfig
    rope = kind.from_dict(settings).rope_parameters
    stored = np.load(STORED / "rope.npz")
    found = rope.frequencies(ROPE_WIDTH, length)
    np.testing.assert_allclose(found, stored[f"frequencies_{name}"], rtol=1e-5)
    assert rope.magnitude == pytest.approx(float(stored[f"factor_{name}"]), rel=1e-6)


def test_each_row_has_the_frequencies_of_its_own_length():
    rope = Rope("dynamic", 100.0, factor=2.0, original_max_position_embeddings=4)
    positions, lengths = jnp.arange(8)[None].repeat(3, 0), jnp.array([3, 8, 8])
    both = rotation(rope, positions, 8, lengths)
    plain = rotation(Rope(rope_theta=100.0), positions, 8)
    np.testing.assert_allclose(both.cos[0], plain.cos[0], rtol=1e-6)
    # T/L = 2, so θ grows by (2·2 - 1)^(8/6).
    slower = rotation(Rope(rope_theta=100.0 * 3 ** (8 / 6)), positions, 8)
    np.testing.assert_allclose(both.sin[1], slower.sin[1], atol=1e-5)
    assert np.abs(both.cos[1] - plain.cos[1]).max() > 0.1


def test_a_part_of_each_head_turns():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 2, 8)), jnp.float32)
    positions = jnp.array([[0, 7, 2]])
    found = rotate(x, rotation(Rope(partial_rotary_factor=0.5), positions, 8))
    np.testing.assert_array_equal(found[..., 4:], x[..., 4:])
    first = rotate(x[..., :4], rotation(Rope(), positions, 4))
    np.testing.assert_array_equal(found[..., :4], first)


def test_without_frequencies_nothing_turns():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 2, 8)), jnp.float32)
    np.testing.assert_array_equal(rotate(x, rotation(None, jnp.array([[0, 7, 2]]), 8)), x)


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
        ({"rope_scaling": {"type": "ntk", "factor": 2.0}}, "rope_type is 'ntk'; zojax"),
        ({"rope_scaling": {"type": "yarn", "beta_fast": "x"}}, "beta_fast must be a finite number"),
        ({"rope_scaling": YARN | {"beta_fast": -1.0}}, "beta_fast must be at least 0, not -1.0"),
        ({"rope_scaling": YARN | {"rope_theta": 1.0}}, "'yarn' needs rope_theta above 1 in"),
        ({"rope_scaling": {"type": "dynamic"}}, "'dynamic' needs factor above 0"),
        (
            {"rope_scaling": {"type": "longrope", "short_factor": [1, 2]}},
            "'longrope' needs long_factor above 0 in rope_parameters, not None",
        ),
        (
            {"rope_scaling": {"type": "longrope", "short_factor": [1, 2], "long_factor": [1]}},
            "long_factor in rope_parameters has 1 numbers; heads of width 4 need 2",
        ),
        ({"rope_scaling": {"type": "linear"}}, "needs factor above 0 in rope_parameters, not None"),
        ({"rope_theta": 0.0}, "needs rope_theta above 0"),
        ({"rope_parameters": {"factor": 2.0}}, "'default' has no use for factor = 2.0"),
        ({"rope_parameters": {"mrope_section": [2, 3]}}, "rope_parameters has mrope_section"),
        (
            {"rope_scaling": LLAMA31 | {"low_freq_factor": 4.0}},
            "low_freq_factor = 4.0 must be",
        ),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; in llama whole heads"),
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


@pytest.mark.parametrize(
    ("settings", "reach"),
    [
        ({}, 24),
        ({"rope_parameters": YARN}, 24),
        ({"rope_parameters": YARN | {"factor": 8.0}}, 32),
        ({"rope_parameters": DYNAMIC}, 96),
    ],
)
def test_sequences_may_be_as_long_as_scaled_positions_reach(settings, reach):
    assert LlamaConfig.from_dict(COMMON | settings).longest == reach


FULL, SLIDING = (None, False), (8, False)
NO_ROPE = (None, True)


@pytest.mark.parametrize(
    ("family", "settings", "kinds"),
    [
        (Qwen2Config, {"sliding_window": 8, "max_window_layers": 0}, [FULL, FULL]),
        (
            Qwen2Config,
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            [FULL, SLIDING],
        ),
        (
            Qwen3Config,
            {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0},
            [FULL, FULL],
        ),
        (
            Qwen3Config,
            {
                "use_sliding_window": True,
                "sliding_window": 8,
                "layer_types": ["sliding_attention", "full_attention"],
            },
            [SLIDING, FULL],
        ),
        (MistralConfig, {"sliding_window": 8}, [SLIDING, SLIDING]),
        (MistralConfig, {"sliding_window": None}, [FULL, FULL]),
        (LlamaConfig, {"sliding_window": 8}, [FULL, FULL]),
        (Gemma3Config, {"sliding_window": 8, "sliding_window_pattern": 2}, [SLIDING, FULL]),
        (SmolLM3Config, {"no_rope_layers": [1, 0]}, [FULL, NO_ROPE]),
        (SmolLM3Config, {"no_rope_layer_interval": 1}, [NO_ROPE, NO_ROPE]),
    ],
)
def test_layers_have_the_windows_that_their_files_say(family, settings, kinds):
    found = family.from_dict(COMMON | settings).layer_kinds
    assert [(kind.window, kind.rope is None) for kind in found] == kinds
    again = family.from_dict(family.from_dict(COMMON | settings).to_dict())
    assert again.layer_kinds == found


@pytest.mark.parametrize(
    ("family", "settings", "message"),
    [
        (MistralConfig, {"sliding_window": 0}, "sliding_window must be an integer of at least 1"),
        (
            MistralConfig,
            {"layer_types": ["full_attention", "sliding_attention"]},
            "layer_types has full_attention; with sliding_window = 4096 mistral has sliding_",
        ),
        (
            Qwen3Config,
            {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 8},
            "layer_types has sliding_attention; with sliding_window = None qwen3 has full_",
        ),
        (
            Gemma3Config,
            {"layer_types": ["full_attention"]},
            "layer_types names 1 layers; num_hidden_layers is 2",
        ),
        (Gemma3Config, {"layer_types": ["chunked", "chunked"]}, "layer_types has chunked"),
        (
            Gemma3Config,
            {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
            "rope_parameters of sliding_attention have rope_type 'linear'",
        ),
        (Gemma3Config, {"use_bidirectional_attention": True}, "use_bidirectional_attention is"),
        (Gemma3Config, {"final_logit_softcapping": 0.0}, "final_logit_softcapping must be a numb"),
        (SmolLM3Config, {"no_rope_layers": [1]}, "no_rope_layers names 1 layers"),
    ],
)
def test_layers_that_do_not_fit_are_named(family, settings, message):
    with pytest.raises(ValueError, match=message):
        family.from_dict(COMMON | {"head_dim": 4} | settings)
