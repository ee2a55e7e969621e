"""Weights in 8 and 4 bits: the codes by numpy, the layers by their dequantized ones, the memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import zojax
from zojax import lora, prefix, quantization
from zojax.models import OPT, OPTConfig
from zojax.training import make_step, peak_bytes

# QLoRA, arXiv:2305.14314, Appendix E.
NEGATIVE = [-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004]
POSITIVE = [0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]
NF4 = np.array([*NEGATIVE, 0.0, *POSITIVE])
IDS = jnp.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


def opt(dtype=jnp.float32, **changes):
    sizes = {"hidden_size": 128, "ffn_dim": 192, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = OPTConfig(vocab_size=32, max_position_embeddings=16, **sizes | changes)
    return OPT(config, dtype=dtype, rngs=nnx.Rngs(0))


def adapted(model, key):
    return lora.adapt(model, ["q_proj", "v_proj"], rank=2, scale=2.0, key=key)


def numpy_nf4(kernel):
    """(in, out): every 64 rows of a column by their largest, to the nearest level."""
    blocks = kernel.reshape(-1, 64, kernel.shape[-1])
    scale = np.abs(blocks).max(1, keepdims=True)
    nearest = np.abs((blocks / scale)[..., None] - NF4).argmin(-1)
    return (NF4[nearest] * scale).reshape(kernel.shape)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_nf4_is_that_of_the_paper(dtype):
    model = opt(dtype)
    small = quantization.quantize(model, "nf4")
    for name in ("fc1", "fc2"):
        whole = np.asarray(getattr(model.layers, name).kernel[...], np.float64)
        expected = np.stack([numpy_nf4(layer) for layer in whole])
        kernel = np.asarray(getattr(small.layers, name).dequantized(), np.float64)
        rounding = 2**-8 if dtype == jnp.bfloat16 else 1e-6
        np.testing.assert_allclose(kernel, expected, atol=rounding * np.abs(whole).max())


def test_int8_is_within_half_a_step_and_has_one_step_a_column():
    """127.5 steps from 0 to the largest of a column."""
    model = opt()
    layer = quantization.quantize(model, "int8").layers.fc1
    whole = np.asarray(model.layers.fc1.kernel[...], np.float64)
    step = np.abs(whole).max(1, keepdims=True) / 127.5
    np.testing.assert_allclose(layer.scales[...], step, rtol=1e-6)
    assert layer.values.dtype == jnp.int8
    assert (np.abs(np.asarray(layer.dequantized()) - whole) <= 0.5001 * step).all()


@pytest.mark.parametrize("format", quantization.FORMATS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_quantized_model_is_the_dequantized_one(format, dtype, key):
    """Layer by layer inside the scan, with adapters and without; in the dtype of the weights."""
    for model in (opt(dtype), adapted(opt(dtype), key)):
        small = quantization.quantize(model, format)
        back = quantization.dequantize(small)
        logits = small(IDS)
        assert jax.tree.structure(nnx.state(back)) == jax.tree.structure(nnx.state(model))
        np.testing.assert_allclose(logits, back(IDS), atol=0 if dtype == jnp.bfloat16 else 1e-5)
        jax.tree.map(_same_dtype, nnx.state(back), nnx.state(model))
        assert np.abs(logits - model(IDS)).max() > 0


def _same_dtype(a, b):
    assert a.dtype == b.dtype


def test_int8_is_closer_than_nf4_and_both_are_close():
    model = opt(init_std=0.3)
    logits = model(IDS)
    error = {
        format: float(jnp.abs(quantization.quantize(model, format)(IDS) - logits).mean())
        for format in quantization.FORMATS
    }
    assert 0 < error["int8"] < error["nf4"] / 5
    assert error["nf4"] < 0.5 * float(jnp.std(logits))


@pytest.mark.slow
@pytest.mark.parametrize(("format", "most"), [("int8", 0.30), ("nf4", 0.18)])
def test_the_weights_and_a_step_take_so_much_less_memory(format, most, key):
    """By the compiler's own account; of NF4 a half byte and a scale for 64 rows, in float32."""

    def of(model):
        graphdef, params, frozen = nnx.split(model, nnx.LoRAParam, ...)

        def loss(params, frozen):
            return jnp.mean(nnx.merge(graphdef, params, frozen)(IDS[:1, :2]) ** 2)

        tx = zojax.mezo(1e-3, key)
        step = make_step(tx, loss)
        compiled = step.lower(params, tx.init(params), frozen=frozen).compile()
        return sum(leaf.nbytes for leaf in jax.tree.leaves(frozen)), peak_bytes(compiled)

    sizes = {"hidden_size": 256, "ffn_dim": 1024, "num_hidden_layers": 6}
    whole = adapted(opt(**sizes), key)
    bytes_, peak = of(whole)
    small_bytes, small_peak = of(quantization.quantize(whole, format))
    assert small_bytes <= most * bytes_
    # A layer at a time is multiplied out.
    layer = bytes_ / 6
    assert small_peak <= peak - (1 - most) * bytes_ + 1.1 * layer


@pytest.mark.parametrize("format", quantization.FORMATS)
def test_an_adapter_on_it_is_trained_and_perturbed_lazily(format, key):
    model = quantization.quantize(adapted(opt(), key), format)
    graphdef, params, frozen = nnx.split(model, nnx.LoRAParam, ...)

    def loss(params):
        return jnp.mean(nnx.merge(graphdef, params, frozen)(IDS) ** 2)

    sampler = zojax.gaussian()
    directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(0), 2, params)
    lazy = zojax.evaluate(loss, params, directions, 1e-2)
    plain = zojax.evaluate(loss, params, directions, 1e-2, materialize=True)
    np.testing.assert_allclose(lazy, plain, rtol=1e-5)
    assert zojax.explain(loss, params) == []


def test_a_prefix_goes_with_it(key):
    model = quantization.quantize(prefix.adapt(opt(), length=3, key=key), "nf4")
    assert model(IDS).shape == (2, 5, 32)
    assert jax.tree.leaves(nnx.state(model, prefix.PrefixParam))


def test_what_cannot_be_quantized_is_named(key):
    with pytest.raises(ValueError, match="format must be one of int8, nf4, got 'fp4'"):
        quantization.quantize(opt(), "fp4")
    with pytest.raises(ValueError, match="has no linear layers in a stack"):
        quantization.quantize(nnx.Linear(4, 4, rngs=nnx.Rngs(0)), "int8")
    odd = opt(hidden_size=126, ffn_dim=63)
    with pytest.raises(ValueError, match=r"layers\.fc2 has 63 inputs, but nf4 stores two"):
        quantization.quantize(odd, "nf4")


def test_the_model_given_stays_as_it_is():
    model = opt()
    before = jax.tree.map(np.asarray, nnx.state(model))
    quantization.quantize(model, "int8")
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(model))
