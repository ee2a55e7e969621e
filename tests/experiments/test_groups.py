"""Which batches are worked through in one call."""

import itertools

import jax
import numpy as np
import pytest

from experiments._groups import groups

# Padded lengths of the batches of 18 steps; somebody looks after steps 7 and 18.
LENGTHS = [4, 4, 4, 4, 8, 8, 8, 8, 8, 4, 8, 8, 8, 8, 8, 8, 4, 4]
STOPS = (7, 18)


def batches(step=0):
    """Of step t, t + 1 tokens in the first row, and as many as there is room for in the second."""
    for place, length in enumerate(LENGTHS[step:], start=step):
        mask = np.arange(length) < np.array([[min(place + 1, length)], [length]])
        yield {"attention_mask": mask, "labels": np.full(2, place)}


def grouped(size, start=0):
    return list(groups(batches(start), size, start=start, stops=lambda step: step in STOPS))


def unstacked(group):
    if group.size == 1:
        return [group.batch]
    return [{name: x[i] for name, x in group.batch.items()} for i in range(group.size)]


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_every_batch_comes_once_and_in_order(size):
    found = grouped(size)
    steps = list(itertools.chain.from_iterable(map(unstacked, found)))
    for ours, theirs in zip(steps, batches(), strict=True):
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert [group.last for group in found] == list(np.cumsum([group.size for group in found]))
    assert all(
        isinstance(leaf, jax.Array) for leaf in jax.tree.leaves([group.batch for group in found])
    )
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches())
    assert sum(group.tokens for group in found) == tokens


def test_groups_are_full_or_single_and_end_with_a_shape_and_at_a_stop():
    assert [group.size for group in grouped(1)] == [1] * 18
    # Lengths: 4 4 4 4 | 8 8 8, a stop, 8 8 | 4 | 8 8 8 8 8 8 | 4 4
    assert [group.size for group in grouped(2)] == [2, 2, 2, 1, 2, 1, 2, 2, 2, 2]
    assert [group.size for group in grouped(3)] == [3, 1, 3, 1, 1, 1, 3, 3, 1, 1]
    assert [group.size for group in grouped(10)] == [1] * 18


def test_after_a_stop_the_groups_are_those_of_the_whole_run():
    later = [group for group in grouped(3) if group.last > 7]
    for ours, theirs in zip(grouped(3, start=7), later, strict=True):
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_pictures_count_as_tokens():
    pictures = ({"pixel_values": np.zeros((2, 3)), "labels": np.zeros(2)} for _ in range(4))
    found = list(groups(pictures, 4, start=0, stops=lambda step: step == 4))
    assert [(group.size, group.tokens) for group in found] == [(4, 8)]
