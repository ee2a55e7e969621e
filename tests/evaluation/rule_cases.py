"""One operation on one leaf each: what it is, and how many entries of z it may draw at a time."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Case(NamedTuple):
    """An operation on a leaf.

    Attributes:
      function: leaf -> array.
      shape: of the leaf.
      entries: the most entries of z that one draw of a dense law makes.
      dtype: of the leaf.
    """

    function: Callable[[jax.Array], Any]
    shape: tuple[int, ...]
    entries: int
    dtype: Any = jnp.float32


def data(*shape):
    """Numbers without a symmetry that would hide a permutation."""
    return jnp.sin(1.0 + jnp.arange(math.prod(shape))).reshape(shape)


def _index(function):
    """`function(leaf, i)` with an i that is data, not a constant of the program."""
    return lambda w: function(w, jnp.argmax(data(4)))


IDS = jnp.array([[3, 0, 0], [5, 1, 2]])
OUTSIDE = jnp.array([-9, -6, -1, 0, 5, 6, 99])

_NHWC = ("NHWC", "HWIO", "NHWC")
# Convolutions: the whole kernel is drawn, once, where it meets the data.
CONVOLUTIONS = {
    "features_last": Case(
        lambda w: jax.lax.conv_general_dilated(
            data(2, 5, 4, 3), w, (1, 2), "SAME", dimension_numbers=_NHWC
        ),
        (3, 2, 3, 6),
        108,
    ),
    "features_first": Case(
        lambda w: jax.lax.conv(data(2, 3, 5, 5), w, (1, 1), "VALID"), (6, 3, 2, 2), 72
    ),
    "along_one_axis_and_dilated": Case(
        lambda w: jax.lax.conv_general_dilated(
            data(2, 9, 3), w, (1,), [(1, 2)], (2,), (2,), dimension_numbers=("NWC", "WIO", "NWC")
        ),
        (2, 3, 5),
        30,
    ),
    "kernel_turned": Case(
        lambda w: jax.lax.conv(data(2, 3, 5, 5), w.transpose(3, 2, 0, 1), (1, 1), "VALID"),
        (2, 2, 3, 6),
        72,
    ),
    "in_narrow_numbers": Case(
        lambda w: jax.lax.conv(data(2, 3, 5, 5).astype(jnp.bfloat16), w, (1, 1), "VALID"),
        (6, 3, 2, 2),
        72,
        jnp.bfloat16,
    ),
}

# Contractions: the whole leaf is drawn, once, where it meets the data.
CONTRACTIONS = {
    "weight_right": Case(lambda w: data(5, 6) @ w, (6, 4), 24),
    "weight_left": Case(lambda w: w @ data(4, 5), (6, 4), 24),
    "weight_left_of_batches": Case(
        lambda w: jnp.einsum("ij,btj->ibt", w, data(2, 3, 4)), (6, 4), 24
    ),
    "matrix_times_vector": Case(lambda w: w @ data(4), (6, 4), 24),
    "vector_leaf": Case(lambda w: data(5, 6) @ w, (6,), 6),
    "heads_out": Case(lambda w: jnp.einsum("btd,dhf->bthf", data(2, 3, 4), w), (4, 2, 3), 24),
    "heads_in": Case(lambda w: jnp.einsum("bthf,hfd->btd", data(2, 3, 2, 3), w), (2, 3, 4), 24),
    "contracting_axes_swapped": Case(
        lambda w: jnp.einsum("bfhd,hfe->dbe", data(2, 3, 2, 5), w), (2, 3, 4), 24
    ),
    "experts": Case(lambda w: jnp.einsum("bei,eij->bej", data(5, 3, 2), w), (3, 2, 4), 24),
    "experts_weight_left": Case(
        lambda w: jnp.einsum("jei,bei->ebj", w, data(5, 3, 2)), (4, 3, 2), 24
    ),
    "two_batch_axes": Case(
        lambda w: jnp.einsum("abij,abj->iab", w, data(2, 3, 2)), (2, 3, 2, 2), 24
    ),
    "outer_product": Case(lambda w: jnp.einsum("a,ij->iaj", data(3), w), (6, 4), 24),
    "transposed": Case(lambda w: data(5, 4) @ w.T, (6, 4), 24),
    "permuted_3d": Case(
        lambda w: jax.lax.dot_general(
            data(5, 4), jnp.transpose(w, (2, 0, 1)), (((1,), (0,)), ((), ()))
        ),
        (2, 3, 4),
        24,
    ),
    "low_precision_accumulated_wide": Case(
        lambda w: jnp.matmul(
            data(5, 6).astype(jnp.bfloat16), w, preferred_element_type=jnp.float32
        ),
        (6, 4),
        24,
        jnp.bfloat16,
    ),
}

# Looked at otherwise and then contracted: nothing more is drawn than what the contraction meets.
STRUCTURE = {
    "unit_axis_indexed": Case(lambda w: data(5, 6) @ w[0], (1, 6, 4), 24),
    "unit_axis_last_squeezed": Case(lambda w: data(5, 6) @ jnp.squeeze(w, 1), (6, 1, 4), 24),
    "unit_axes_expanded": Case(
        lambda w: jnp.einsum("abij,ki->abkj", w[None, :, None].swapaxes(1, 2), data(5, 6)),
        (6, 4),
        24,
    ),
    "unit_axes_reshaped": Case(
        lambda w: jnp.einsum("aibj,ki->abkj", w.reshape(1, 6, 1, 4), data(5, 6)), (6, 1, 4), 24
    ),
    "cast_up": Case(lambda w: data(5, 6) @ w.astype(jnp.float32), (6, 4), 24, jnp.bfloat16),
    "cast_down_and_up": Case(
        lambda w: data(5, 6) @ w.astype(jnp.bfloat16).astype(jnp.float32), (6, 4), 24
    ),
    "stopped_gradient": Case(lambda w: data(5, 6) @ jax.lax.stop_gradient(w), (6, 4), 24),
    "sliced": Case(lambda w: data(5, 3) @ w[2:5], (6, 4), 12),
    "strided": Case(lambda w: data(5, 2) @ w[1::3], (6, 4), 8),
    "one_layer_of_a_stack": Case(lambda w: data(5, 6) @ w[1], (3, 6, 4), 24),
    "last_layer_of_a_stack": Case(lambda w: data(5, 6) @ w[-1], (3, 6, 4), 24),
    "layer_by_data": Case(_index(lambda w, i: data(5, 6) @ w[i]), (3, 6, 4), 24),
    "layer_by_data_dynamic": Case(
        _index(lambda w, i: data(5, 6) @ jax.lax.dynamic_index_in_dim(w, 7 * i, 0, False)),
        (3, 6, 4),
        24,
    ),
    "slice_by_data": Case(
        _index(lambda w, i: data(5, 2) @ jax.lax.dynamic_slice_in_dim(w, i, 2)), (6, 4), 8
    ),
    "slice_of_a_transposed_leaf": Case(lambda w: data(5, 2) @ w.T[:, 1:3].T, (4, 6), 12),
    "unpacked_stack": Case(
        lambda w: sum(data(5, 6) @ q * (i + 1) for i, q in enumerate(w)), (3, 6, 4), 24
    ),
    "split_stack": Case(
        lambda w: sum(data(5, 2) @ q * (i + 1) for i, q in enumerate(jnp.split(w, 3))), (6, 4), 8
    ),
}

# Rows of a table: only those named are drawn.
GATHERS = {
    "rows": Case(lambda w: w[jnp.array([3, 1])], (6, 4), 8),
    "rows_of_2d_ids": Case(lambda w: jnp.take(w, IDS, axis=0), (6, 4), 24),
    "rows_outside_filled": Case(
        lambda w: jnp.take(w, OUTSIDE, axis=0, mode="fill", fill_value=7.0), (6, 4), 28
    ),
    "rows_outside_nan": Case(lambda w: jnp.take(w, OUTSIDE, axis=0), (6, 4), 28),
    "rows_outside_clipped": Case(lambda w: jnp.take(w, OUTSIDE, axis=0, mode="clip"), (6, 4), 28),
    "rows_outside_wrapped": Case(lambda w: jnp.take(w, OUTSIDE, axis=0, mode="wrap"), (6, 4), 28),
    "negative_rows": Case(lambda w: w[jnp.array([-1, -6])], (6, 4), 8),
    "rows_by_unsigned_bytes": Case(lambda w: w[jnp.array([5, 0], jnp.uint8)], (6, 4), 8),
    "rows_of_a_longer_table_by_bytes": Case(
        lambda w: jnp.take(w, jnp.array([255, 0], jnp.uint8), axis=0), (300, 2), 4
    ),
    "middle_axis": Case(lambda w: jnp.take(w, jnp.array([2, 0]), axis=1), (2, 3, 4), 16),
    "rows_of_a_transposed_leaf": Case(
        lambda w: jnp.take(w.T, jnp.array([2, 0]), axis=1), (6, 4), 8
    ),
    "rows_in_low_precision": Case(
        lambda w: jnp.take(w.astype(jnp.float32), IDS, axis=0), (6, 4), 24, jnp.bfloat16
    ),
}

# Control flow and calls.
CALLS = {
    "nested_jit": Case(
        lambda w: jax.jit(lambda w: jax.jit(jnp.matmul)(data(5, 6), w))(w), (6, 4), 24
    ),
    "remat": Case(lambda w: jax.checkpoint(lambda w: jnp.sin(data(5, 6) @ w))(w), (6, 4), 24),
    "scan_over_a_stack": Case(
        lambda w: jax.lax.scan(lambda x, q: (jnp.sin(x @ q), x.sum()), data(5, 4), w), (3, 4, 4), 16
    ),
    "scan_reversed": Case(
        lambda w: jax.lax.scan(lambda x, q: (jnp.sin(x @ q), None), data(5, 4), w, reverse=True)[0],
        (3, 4, 4),
        16,
    ),
    "scan_with_a_constant": Case(
        lambda w: jax.lax.scan(lambda x, y: (jnp.sin(x @ w) + y, None), data(5, 4), data(3))[0],
        (4, 4),
        16,
    ),
    "scan_in_scan": Case(
        lambda w: jax.lax.scan(
            lambda x, q: jax.lax.scan(lambda x, p: (jnp.sin(x @ p), None), x, q), data(5, 4), w
        )[0],
        (2, 3, 4, 4),
        16,
    ),
    "scan_in_remat": Case(
        lambda w: jax.checkpoint(
            lambda w: jax.lax.scan(lambda x, q: (jnp.sin(x @ q), None), data(5, 4), w)[0]
        )(w),
        (3, 4, 4),
        16,
    ),
    "remat_in_scan": Case(
        lambda w: jax.lax.scan(
            jax.checkpoint(lambda x, q: (jax.nn.relu(x @ q), None)), data(5, 4), w
        )[0],
        (3, 4, 4),
        16,
    ),
    "while": Case(
        lambda w: jax.lax.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1] @ w)), (0, data(5, 4))
        )[1],
        (4, 4),
        16,
    ),
    "while_until_the_weight_says_so": Case(
        lambda w: (
            jax.lax.while_loop(
                lambda c: (c[0] < 3) & ((c[1] @ w).sum() < 1e9),
                lambda c: (c[0] + 1, c[1]),
                (0, data(5, 4)),
            )[0]
            * 1.0
        ),
        (4, 4),
        16,
    ),
    "cond": Case(
        lambda w: jax.lax.cond(
            data(1)[0] > 0, lambda: data(5, 6) @ w, lambda: data(5, 6) @ -data(6, 4)
        ),
        (6, 4),
        24,
    ),
    "switch": Case(
        _index(lambda w, i: jax.lax.switch(i, [jnp.sin, jnp.cos, jnp.tanh], data(5, 6) @ w)),
        (6, 4),
        24,
    ),
}

# No rule can help: the leaf is drawn, and the value is right all the same.
FALLBACKS = {
    "elementwise": Case(lambda w: jnp.sin(w) * 2, (6, 4), 24),
    "scaled_data": Case(lambda w: data(5, 6, 4) * w, (6, 4), 24),
    "scalar_leaf": Case(lambda w: data(5) * w + w, (), 1),
    "sum_of_squares": Case(lambda w: jnp.sum(w**2), (6, 4), 24),
    "two_leaves_multiplied": Case(lambda w: w @ w.T, (6, 4), 24),
    "rows_and_columns_joined": Case(lambda w: data(5, 24) @ w.reshape(24), (6, 4), 24),
    "rows_cut_through": Case(lambda w: data(5, 6) @ w[:, 1:3], (6, 4), 24),
    "columns_gathered": Case(lambda w: jnp.take(w, jnp.array([1, 1, 0]), axis=1), (6, 4), 24),
    "single_entries_gathered": Case(lambda w: w[jnp.array([0, 5]), jnp.array([3, 1])], (6, 4), 24),
    "columns_split": Case(lambda w: data(5, 6) @ jnp.split(w, 2, axis=1)[1], (6, 4), 24),
    "repeated": Case(lambda w: jnp.broadcast_to(w, (3, 6, 4)) * data(3, 6, 4), (6, 4), 24),
    "concatenated": Case(lambda w: jnp.concatenate([w, 2 * w]), (6, 4), 24),
    "reversed": Case(lambda w: w[::-1], (6, 4), 24),
    "sorted": Case(lambda w: jnp.sort(w, axis=0), (6, 4), 24),
    "counted": Case(lambda w: (100 * w).astype(jnp.int32), (6, 4), 24),
    "compared": Case(lambda w: w > 0, (6, 4), 24),
    "updated": Case(lambda w: w.at[2].set(5.0).at[0, 1].add(1.0), (6, 4), 24),
    "normalized": Case(lambda w: data(5, 6) @ (w / jnp.linalg.norm(w, axis=0)), (6, 4), 24),
    "convolved_in_groups": Case(
        lambda w: jax.lax.conv_general_dilated(
            data(1, 4, 5, 5), w, (1, 1), "SAME", feature_group_count=2
        ),
        (6, 2, 2, 2),
        48,
    ),
    "convolved_with": Case(
        lambda w: jax.lax.conv(w, data(3, 2, 2, 2), (1, 1), "SAME"), (1, 2, 5, 5), 50
    ),
    "returned": Case(lambda w: w, (6, 4), 24),
    "returned_by_a_branch": Case(
        _index(lambda w, i: jax.lax.cond(i > 9, lambda: w, lambda: data(6, 4))), (6, 4), 24
    ),
    "returned_by_the_other_branch": Case(
        _index(lambda w, i: jax.lax.cond(i < 9, lambda: w, lambda: data(6, 4))), (6, 4), 24
    ),
    "carried": Case(
        lambda w: jax.lax.scan(lambda q, y: (jnp.sin(q) + y, q.sum()), w, data(3)), (6, 4), 24
    ),
    "swapped_in_a_loop": Case(
        lambda w: jax.lax.fori_loop(0, 3, lambda _, c: (c[1], c[0]), (w, data(6, 4))), (6, 4), 24
    ),
    "vector_scanned": Case(
        lambda w: jax.lax.scan(lambda x, q: (x * q + 1, None), data(5), w)[0], (3,), 3
    ),
}
