"""Which examples a step sees."""

import numpy as np
import pytest

from zojax.training import batches


def test_every_example_comes_once_an_epoch():
    """7 batches of 6 and 6 epochs of 7 are the same 42 places of the line."""
    order = batches(7, 6, seed=3)
    line = np.concatenate([order[step] for step in range(7)]).reshape(6, 7)
    assert (np.sort(line, axis=1) == np.arange(7)).all()
    assert len({tuple(epoch) for epoch in line}) > 1


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    later = batches(50, 4, seed=0)[1000]
    order = batches(50, 4, seed=0)
    for step in (0, 1000, 3, 1000):
        batch = order[step]
    assert batch.dtype == np.int64
    np.testing.assert_array_equal(batch, later)
    assert not np.array_equal(batches(50, 4, seed=1)[1000], later)


def test_the_next_seed_does_not_go_on_where_this_one_will_be_after_an_epoch():
    now, after = batches(8, 8, seed=5), batches(8, 8, seed=6)
    assert not np.array_equal(now[1], after[0])


def test_reading_ahead_from_a_step_gives_the_batches_of_that_step_and_after():
    order = batches(11, 3, seed=0).map(lambda indices: {"i": 2 * indices})
    ahead = [batch["i"] for batch in order[5:9].to_iter_dataset()]
    np.testing.assert_array_equal(ahead, [order[step]["i"] for step in range(5, 9)])
    assert list(order[9:9].to_iter_dataset()) == []


@pytest.mark.parametrize("shard_count", [2, 3])
def test_shards_together_see_what_one_would_see(shard_count):
    shards = [batches(7, 6, 0, shard_index=s, shard_count=shard_count) for s in range(shard_count)]
    whole = batches(7, 6, 0)
    for step in (0, 1, 40):
        together = np.stack([shard[step] for shard in shards], axis=1).ravel()
        np.testing.assert_array_equal(together, whole[step])


@pytest.mark.parametrize("batch_size", [0, 8])
def test_a_batch_that_does_not_fit_is_refused(batch_size):
    with pytest.raises(
        ValueError, match=f"batch_size must lie between 1 and .* 7; got {batch_size}"
    ):
        batches(7, batch_size, 0)


def test_shards_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"shard_index must lie between 0 and 1, .*; got 2"):
        batches(8, 4, 0, shard_index=2, shard_count=2)
    with pytest.raises(ValueError, match=r"batch_size 4 cannot be shared out evenly among .* 3"):
        batches(8, 4, 0, shard_index=0, shard_count=3)
