"""Labels make blocks that are disjoint and cover params."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import zojax
from zojax.models import OPT, OPTConfig
from zojax.samplers.blocks._active_slices import block_recipe
from zojax.samplers.blocks._labels import places


def blocks_of(labels, params):
    """For every block what of each leaf it holds: an array of flags for each leaf."""
    found, count = places(labels, params)

    @jax.jit
    def flags(number):
        marked = []
        for place, leaf in zip(found, jax.tree.leaves(params), strict=True):
            block = block_recipe(None, place, number)
            nothing = jnp.zeros(leaf.shape, bool)
            inside = block.taken(~nothing) & block.active
            marked.append(block.placed(inside, nothing))
        return marked

    return [[np.asarray(leaf) for leaf in flags(jnp.int32(number))] for number in range(count)]


def names_of(labels, params):
    """The paths of what each block touches."""
    paths = [
        jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value")
        for path, _ in jax.tree.leaves_with_path(params)
    ]
    return [
        [path for path, flags in zip(paths, block, strict=True) if flags.any()]
        for block in blocks_of(labels, params)
    ]


def times_covered(labels, params):
    blocks = blocks_of(labels, params)
    return [sum(block[place].astype(int) for block in blocks) for place in range(len(blocks[0]))]


def test_leaves_with_one_label_are_one_block_in_the_order_of_the_labels():
    params = {"a": jnp.zeros(2), "b": jnp.zeros((2, 2)), "c": jnp.zeros(())}
    labels = {"a": "late", "b": 7, "c": "late"}
    assert names_of(labels, params) == [["a", "c"], ["b"]]
    assert all((times == 1).all() for times in times_covered(labels, params))


def test_slices_of_a_name_go_round_together():
    """2 slices of one leaf and 3 of another: 6 blocks, of which each holds one of both."""
    params = {"x": jnp.zeros((2, 3)), "y": jnp.zeros((4, 3)), "z": jnp.zeros(5)}
    labels = {"x": zojax.Slices("s"), "y": zojax.Slices("s", (-1,)), "z": "alone"}
    blocks = blocks_of(labels, params)
    assert len(blocks) == 7
    for number, (x, y, z) in enumerate(blocks[:6]):
        np.testing.assert_array_equal(x, np.arange(2)[:, None] == np.full((2, 3), number % 2))
        np.testing.assert_array_equal(y, np.arange(3) == np.full((4, 3), number % 3))
        assert not z.any()
    assert [flags.any() for flags in blocks[6]] == [False, False, True]
    assert [times.max() for times in times_covered(labels, params)] == [3, 2, 1]
    assert all(times.min() == times.max() for times in times_covered(labels, params))


def test_slices_along_several_axes_are_numbered_in_c_order():
    params = jnp.zeros((2, 4, 3))
    (flags,) = zip(*blocks_of(zojax.Slices("s", (2, 0)), params), strict=True)
    for number, entries in enumerate(flags):
        expected = np.zeros((2, 4, 3), bool)
        expected[number // 3, :, number % 3] = True
        np.testing.assert_array_equal(entries, expected)
    assert len(flags) == 6


class Layer(nnx.Module):
    def __init__(self, rngs):
        self.linear_1 = nnx.Linear(2, 2, rngs=rngs)
        self.norm = nnx.LayerNorm(2, rngs=rngs)


class Model(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(3, 2, rngs=rngs)
        self.layers = nnx.List([Layer(rngs) for _ in range(12)])
        self.norm = nnx.LayerNorm(2, rngs=rngs)


def test_layers_of_a_list_of_modules():
    """12 of them, each a block: 10 is not 1."""
    params = nnx.state(nnx.eval_shape(lambda: Model(nnx.Rngs(0))), nnx.Param)
    labels = jax.tree.leaves(zojax.layer_blocks()(params))
    assert len(labels) == 1 + 12 * 4 + 2
    layers = {f"layers/{number}": 4 for number in range(12)}
    counts = {name: labels.count(name) for name in labels}
    assert counts == {"embeddings": 1, "rest": 2, **layers}


def opt_params(**settings):
    config = OPTConfig(
        vocab_size=5,
        hidden_size=4,
        ffn_dim=4,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=4,
        **settings,
    )
    return nnx.state(OPT(config, rngs=nnx.Rngs(0)), nnx.Param)


def test_layers_of_a_scanned_model():
    """Three layers, the two tables of embeddings, and the last norm with the untied head."""
    params = opt_params(tie_word_embeddings=False)
    labels = zojax.layer_blocks()
    blocks = names_of(labels, params)
    tables = ["embed_positions/embedding", "embed_tokens/embedding"]
    rest = ["final_layer_norm/bias", "final_layer_norm/scale", "lm_head/kernel"]
    assert sorted(map(len, blocks)) == [2, 3, 16, 16, 16]
    assert [names for names in blocks if len(names) == 2] == [tables]
    assert [names for names in blocks if len(names) == 3] == [rest]
    assert all((times == 1).all() for times in times_covered(labels, params))


def test_layers_of_nested_dicts():
    """Numbers as keys, and at the end of names."""
    pair = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    params = {
        "Block_0": {"Dense_0": pair, "Dense_1": pair},
        "Block_1": {"Dense_0": pair, "Dense_1": pair},
        "decoder": {"7": {"norm_1": pair}},
        "token_embedding": jnp.zeros((3, 2)),
        "head": pair,
    }
    labels = zojax.layer_blocks()(params)
    found = {}
    for label, leaf in zip(jax.tree.leaves(labels), jax.tree.leaves(params), strict=True):
        found[label] = found.get(label, 0) + leaf.size
    assert found == {"Block_0": 12, "Block_1": 12, "decoder/7": 6, "embeddings": 6, "rest": 6}


def test_stacks_by_other_names():
    params = {"blocks": {"w_1": jnp.zeros((3, 2)), "scale": jnp.zeros(())}, "w": jnp.zeros(2)}
    labels = zojax.layer_blocks(stacked=("blocks",))(params)
    assert labels == {"blocks": {"w_1": zojax.Slices("blocks"), "scale": "rest"}, "w": "rest"}


def test_stacks_of_different_lengths_are_no_stacks():
    params = {"layers": {"a": jnp.zeros((3, 2)), "b": jnp.zeros((2, 2))}}
    message = r"leaves below 'layers' are read as stacks .* give layer_blocks\(stacked=\.\.\.\)"
    with pytest.raises(ValueError, match=message):
        zojax.layer_blocks()(params)


@pytest.mark.parametrize("axes", [(2,), (-3,), (0, 0), (0, -2)], ids=str)
def test_axes_that_a_leaf_does_not_have_are_refused(axes):
    params = {"a": jnp.zeros((3, 2))}
    message = r"labels cut params\['a'\] of shape \(3, 2\) along axes"
    with pytest.raises(ValueError, match=message):
        places({"a": zojax.Slices("s", axes)}, params)


def test_an_empty_leaf_has_no_slices():
    with pytest.raises(ValueError, match="must not be empty"):
        places({"a": zojax.Slices("s")}, {"a": jnp.zeros((0, 2))})


def test_labels_of_another_tree_are_refused():
    params = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    message = r"labels must be a tree like params with one label for each leaf"
    for labels in ({"a": 0}, 0, {"a": 0, "b": (0, 1)}, lambda params: [0, 1]):
        with pytest.raises(ValueError, match=message):
            zojax.blocks(zojax.gaussian(), labels).init(params)
