"""A `Block` is z of its slice among zeros, and so is every part of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zojax.noise import RADEMACHER
from zojax.recipes import Block, Dense

SHAPE = (4, 3, 6)
INDEX = jnp.array([[2, 0], [1, 1]])
# cut -> where slices lie
CUTS = {
    (): [()],
    (0,): [(2,), (0,)],
    (1,): [(1,)],
    (2,): [(4,)],
    (0, 2): [(3, 1), (1, 5)],
}


def block_of(cut, index, active):
    inside = tuple(1 if axis in cut else n for axis, n in enumerate(SHAPE))
    rows = Dense.of(inside, jax.random.key(5), RADEMACHER)
    return Block(rows, active, index, cut)


def parts(block, z):
    """What -> (a part drawn by itself, the same part of z); the first is None if there is none."""
    datum = jnp.zeros(())
    for order in ((0, 2, 1), (1, 0, 2), (2, 0, 1)):
        whole = z.transpose(order)
        yield f"transpose {order}", (block.transpose(order).draw(whole.shape), whole)
    for axis, n in enumerate(SHAPE):
        for number, (first, length, step) in enumerate(
            [(1, 2, 1), (0, 2, 2), (jnp.int32(n - 2), 2, 1)]
        ):
            cut = block.slice(axis, first, length, step)
            if cut is None:
                continue
            entries = jnp.arange(length) * step + first
            whole = jnp.take(z, entries, axis)
            what = f"slice {axis} number {number}"
            yield what, (cut.draw(whole.shape), whole)
            entry = cut.slice(axis, 1, 1).squeeze(axis)
            yield f"entry of {what}", (entry.draw(entry_shape(axis)), whole.take(1, axis))
        taken = block.draw_taken(axis, INDEX, SHAPE, datum)
        if taken is not None:
            yield f"taken {axis}", (taken, jnp.moveaxis(z, axis, 0)[INDEX])
    for axis in (0, 2):
        pairs = SHAPE[axis] // 2
        halves = block.split(axis, pairs)
        if halves is not None:
            whole = z.reshape(*SHAPE[:axis], 2, pairs, *SHAPE[axis + 1 :])
            yield f"split {axis}", (halves.draw(whole.shape), whole)
    for axis in range(4):
        whole = jnp.expand_dims(z, axis)
        yield f"expand {axis}", (block.expand(axis).draw(whole.shape), whole)
    stack = block.unstack(SHAPE[0])
    yield "unstack", (jax.vmap(lambda one: one.draw(SHAPE[1:]))(stack), z)
    turned = block.transpose((1, 0, 2)).unstack(SHAPE[1])
    yield "unstack 1", (jax.vmap(lambda one: one.draw((4, 6)))(turned), jnp.moveaxis(z, 1, 0))
    yield "drawn late", (block.draw(SHAPE, datum), z)
    yield "taken out", (block.of_slice().draw(block.taken(z).shape), block.taken(z))


def entry_shape(axis):
    return (*SHAPE[:axis], *SHAPE[axis + 1 :])


@functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def all_parts(cut, index, active):
    block = block_of(cut, index, active)
    z = block.draw(SHAPE)
    inside = tuple(1 if axis in cut else n for axis, n in enumerate(SHAPE))
    return z, block.recipe.draw(inside), dict(parts(block, z))


@pytest.mark.parametrize("cut", CUTS)
def test_parts_of_a_block_are_parts_of_its_z(cut):
    """Signs inside, zeros outside; where it is not active, zeros everywhere."""
    for active in (True, False):
        for index in CUTS[cut]:
            z, inside, found = all_parts(cut, jnp.array(index, jnp.int32), active)
            expected = np.zeros(SHAPE, np.float32)
            place = dict(zip(cut, index, strict=True))
            where = tuple(
                slice(place[axis], place[axis] + 1) if axis in place else slice(None)
                for axis in range(3)
            )
            if active:
                expected[where] = inside
                assert np.abs(expected[where]).min() == 1
            np.testing.assert_array_equal(z, expected)
            assert len(found) >= 20
            for what, (part, whole) in found.items():
                np.testing.assert_array_equal(part, whole, err_msg=what)


def test_only_a_whole_leaf_has_entries_that_can_be_taken_and_rows_are_not_cut_into_combs():
    whole, sliced = block_of((), jnp.zeros(0, jnp.int32), True), block_of((0,), INDEX[0, :1], True)
    assert whole.draw_taken(2, INDEX, SHAPE, jnp.zeros(())) is None  # along a row
    assert sliced.draw_taken(0, INDEX, SHAPE, jnp.zeros(())) is None
    assert whole.slice(2, 0, 2, step=2) is None
    assert sliced.slice(2, 0, 2, step=2) is None
    assert whole.transpose((2, 0, 1)).unstack(6) is None
    assert whole.held_bits(SHAPE) == 1


def test_what_lies_around_a_slice_is_kept():
    array = jnp.arange(24.0).reshape(4, 6)
    block = Block(None, True, jnp.array([2], jnp.int32), (0,))
    np.testing.assert_array_equal(block.taken(array), array[2:3])
    np.testing.assert_array_equal(block.placed(-array[2:3], array), array.at[2].multiply(-1))
