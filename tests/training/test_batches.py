"""Which examples a step sees."""

import numpy as np
import pytest

from zojax.training import batch_indices


def test_every_example_comes_once_an_epoch():
    """7 batches of 6 and 6 epochs of 7 are the same 42 places of the line."""
    line = np.concatenate([batch_indices(3, step, 6, 7) for step in range(7)]).reshape(6, 7)
    assert (np.sort(line, axis=1) == np.arange(7)).all()
    assert len({tuple(epoch) for epoch in line}) == 6


def test_steps_and_seeds_decide_alone():
    later = batch_indices(0, 1000, 4, 50)
    batch_indices(1, 3, 4, 50)
    np.testing.assert_array_equal(batch_indices(0, 1000, 4, 50), later)
    assert not np.array_equal(batch_indices(1, 1000, 4, 50), later)


@pytest.mark.parametrize("batch_size", [0, 8])
def test_a_batch_that_does_not_fit_is_refused(batch_size):
    with pytest.raises(
        ValueError, match=f"batch_size must lie between 1 and .* 7; got {batch_size}"
    ):
        batch_indices(0, 0, batch_size, 7)
