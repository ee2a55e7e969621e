"""The default view of factored directions tells kernels of several axes from stacks of matrices."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import zojax
from zojax.samplers import kernels_as_matrices, last_two_axes

DICT, ATTRIBUTE = jax.tree_util.DictKey, jax.tree_util.GetAttrKey


def read(shape, *names):
    path = tuple(DICT(name) for name in names)
    return kernels_as_matrices(path, jax.ShapeDtypeStruct(shape, jnp.float32))


TO_HEADS = zojax.MatrixView(rows=(0,), columns=(1, 2))
FROM_HEADS = zojax.MatrixView(rows=(0, 1), columns=(2,))
STACK = zojax.MatrixView(rows=(1,), columns=(2,), batch=(0,))

ATTENTION = {
    "as many heads as make the width": ((256, 8, 32), "q_proj", TO_HEADS),
    "fewer heads for keys": ((256, 4, 32), "k_proj", TO_HEADS),
    "one head for keys": ((2048, 1, 256), "key", TO_HEADS),
    "heads twice as wide as the features": ((1024, 16, 128), "query", TO_HEADS),
    "more heads than a head has entries": ((4096, 64, 64), "value", TO_HEADS),
    "one head of all features": ((256, 1, 256), "query", TO_HEADS),
    "out of heads": ((8, 32, 256), "o_proj", FROM_HEADS),
    "out of two heads": ((2, 128, 256), "out", FROM_HEADS),
    "out of heads twice as wide": ((16, 128, 1024), "out", FROM_HEADS),
    "out of heads four times as wide": ((32, 128, 1024), "wo", FROM_HEADS),
    "all three in one": ((256, 3, 8, 32), "qkv", zojax.MatrixView((0,), (1, 2, 3))),
    "layers, to heads": ((12, 256, 8, 32), "query", zojax.MatrixView((1,), (2, 3), (0,))),
    "layers, out of heads": ((12, 8, 32, 256), "out", zojax.MatrixView((1, 2), (3,), (0,))),
}
CONVOLUTIONS = {
    "of Flax and haiku": ((3, 3, 64, 64), "conv_0", zojax.MatrixView((0, 1, 2), (3,))),
    "of few channels": ((7, 7, 3, 64), "initial_conv", zojax.MatrixView((0, 1, 2), (3,))),
    "along one axis": ((4, 1, 640), "conv1d", zojax.MatrixView((0, 1), (2,))),
    "of PyTorch and equinox": ((64, 3, 7, 7), "Conv2d", zojax.MatrixView((0,), (1, 2, 3))),
}
STACKS = {
    "layers": ((24, 512, 512), "q_proj"),
    "layers, fewer heads for keys": ((28, 1024, 256), "k_proj"),
    "layers, heads twice as wide": ((28, 1024, 2048), "query"),
    "layers, out of heads": ((24, 512, 512), "o_proj"),
    "layers, out of heads twice as wide": ((28, 2048, 1024), "o_proj"),
    "layers, out of heads narrower than the features": ((46, 4096, 4608), "o_proj"),
    "two narrow layers": ((2, 8, 8), "out"),
    "experts": ((8, 32, 256), "down_proj"),
    "experts that go down": ((8, 1024, 256), "out"),
    "experts in layers": ((12, 8, 256, 1024), "up_proj"),
    "layers of convolutions": ((8, 3, 3, 64, 64), "conv_0"),
}


@pytest.mark.parametrize("case", ATTENTION)
def test_heads_are_part_of_a_side(case):
    shape, name, view = ATTENTION[case]
    assert read(shape, "layers", "attention", name, "kernel") == view
    assert read(shape, name, "w") == view
    variable = (DICT(name), DICT("kernel"), ATTRIBUTE("value"))
    assert kernels_as_matrices(variable, jax.ShapeDtypeStruct(shape, jnp.float32)) == view


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_the_outputs_of_a_convolution_are_a_side(case):
    shape, name, view = CONVOLUTIONS[case]
    assert read(shape, "block", name, "kernel") == view
    assert read(shape, "block", name, "weight") == view


@pytest.mark.parametrize("case", STACKS)
def test_a_stack_is_read_as_one(case):
    shape, name = STACKS[case]
    path = (DICT(name), DICT("kernel"))
    leaf = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert kernels_as_matrices(path, leaf) == last_two_axes(path, leaf)
    assert last_two_axes(path, leaf).batch


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((256, 8, 32), ("mlp", "kernel")),
        ((256, 8, 32), ("q_proj", "bias")),
        ((256, 8, 32), ("q_proj",)),
        ((256, 8, 32), ()),
        ((12, 8, 768), ("o_proj", "lora_b")),
    ],
)
def test_only_kernels_of_attention_have_heads(shape, names):
    assert read(shape, *names) == STACK


def test_what_has_less_than_three_axes_is_read_as_ever():
    assert read((8, 256), "q_proj", "kernel") == zojax.MatrixView((0,), (1,))
    assert read((256,), "q_proj", "kernel") is None


def views_of(params):
    return {
        jax.tree_util.keystr(path): kernels_as_matrices(path, leaf)
        for path, leaf in jax.tree.leaves_with_path(params)
        if leaf.ndim > 2
    }


def test_attention_of_flax_is_seen_in_both_of_its_forms():
    module = nnx.MultiHeadAttention(2, 16, decode=False, rngs=nnx.Rngs(0))
    linen = nn.MultiHeadDotProductAttention(2).init(jax.random.key(0), jnp.ones((1, 3, 16)))
    for params in (nnx.state(module, nnx.Param), linen):
        views = views_of(params)
        assert len(views) == 4
        for path, view in views.items():
            assert view == (FROM_HEADS if "out" in path else TO_HEADS)


def test_a_kernel_with_heads_is_perturbed_by_one_matrix_of_the_rank():
    params = {"query": {"kernel": jnp.zeros((16, 2, 8))}, "out": {"kernel": jnp.zeros((2, 8, 16))}}
    sampler = zojax.factored(3)
    directions, _ = sampler.draw(sampler.init(params), jax.random.key(0), jnp.int32(0), 1, params)
    z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), params)
    assert np.linalg.matrix_rank(z["query"]["kernel"].reshape(16, 16)) == 3
    assert np.linalg.matrix_rank(z["out"]["kernel"].reshape(16, 16)) == 3
