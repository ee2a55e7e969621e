"""The default view of factored directions: kernels of layers, attention and convolutions; stacks.

Flax's attention kernels have an axis for the heads: (features, heads, head_dim) in front of
attention and (heads, head_dim, features) behind it. Each is one matrix. Read as a stack, its
matrices would be as narrow as a head, and their factors a large share of the kernel itself.

What a leaf is has to be seen from its own path and shape (a direction depends on nothing else), and
neither is enough: (8, 32, 256) may be a kernel of 8 heads or a stack of 8 layers, and the kernels
of a stack have the same names. Together they are: behind attention's names, an axis of features is
longer than one of heads or of a head's entries, and an axis of layers is shorter than the features.

Kernels of convolutions, (height, width, in, out) or (out, in, height, width), are one matrix too,
with the output's features as one side: the product of an image's patches and the kernel.
"""

import jax
import numpy as np

from zojax.recipes import MatrixView
from zojax.samplers._views import last_two_axes

_LEAVES = {"kernel", "w", "weight"}
_TO_HEADS = {"query", "key", "value", "q", "k", "v", "wq", "wk", "wv", "qkv", "kv"}
_TO_HEADS |= {"q_proj", "k_proj", "v_proj", "qkv_proj", "kv_proj"}
_FROM_HEADS = {"out", "output", "o", "wo", "out_proj", "o_proj", "attn_vec_einsum"}

# Heads together are wider than the features in some models, but not by more than this.
_WIDEST = 4
# Of a window of two axes; a fifth would be one of layers.
_MOST_AXES_OF_A_CONVOLUTION = 4


def kernels_as_matrices(path: tuple, leaf: jax.Array) -> MatrixView | None:
    """Every kernel is a matrix: heads, and the axes of a convolution's window, belong to a side.

    Of other leaves the last two axes are a matrix, those before them a batch.

    An attention kernel is known by its name (`query`, `q_proj`, `wq`, ...; `out`, `o_proj`, `wo`,
    ...) and its shape: the longest axis is that of the features, and between it and the heads no
    axis is a batch. Axes in front of both are one, as in (layers, features, heads, head_dim).
    The kernel of a convolution is known by "conv" in its name, and has up to four axes.
    Every other leaf is read as `last_two_axes` reads it.
    """
    view = last_two_axes(path, leaf)
    if leaf.ndim < 3:
        return view
    name, end = _name(path), leaf.ndim
    if name in _TO_HEADS:
        features = int(np.argmax(leaf.shape))
        if features < end - 2:
            return _sides((features,), tuple(range(features + 1, end)))
    if name in _FROM_HEADS:
        heads, width, features = leaf.shape[-3:]
        if max(heads, 2 * width) <= features and heads * width <= _WIDEST * features:
            return _sides((end - 3, end - 2), (end - 1,))
    if "conv" in name.lower() and end <= _MOST_AXES_OF_A_CONVOLUTION:
        outputs_lead = leaf.shape[0] > leaf.shape[-1]
        columns = 1 if outputs_lead else end - 1
        return _sides(tuple(range(columns)), tuple(range(columns, end)))
    return view


def _sides(rows: tuple[int, ...], columns: tuple[int, ...]) -> MatrixView:
    return MatrixView(rows, columns, batch=tuple(range(rows[0])))


def _name(path: tuple) -> str:
    """Of the module that the leaf is the kernel of; "" for any other leaf."""
    if path and path[-1] == jax.tree_util.GetAttrKey("value"):  # of a variable of Flax NNX
        path = path[:-1]
    names = [jax.tree_util.keystr((entry,), simple=True) for entry in path]
    # A name of haiku is a path of its own.
    return names[-2].split("/")[-1] if len(names) > 1 and names[-1] in _LEAVES else ""
