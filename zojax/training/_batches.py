"""Which examples a step sees, as a pure function of the seed and the step.

A run that resumes at a step therefore sees the batches that it would have seen, and nothing
about the data has to be stored in a checkpoint.
"""

import functools

import numpy as np


def batch_indices(seed: int, step: int, batch_size: int, num_examples: int) -> np.ndarray:
    """Returns the examples of one step.

    Permutations of all examples, one an epoch, are laid end to end; step t takes the entries
    from t·batch_size to (t+1)·batch_size of that line. So every example comes once an epoch,
    and a batch may reach over the end of an epoch into the next.

    Args:
      seed: chooses the permutations; at least 0.
      step: which step, counted from 0.
      batch_size: examples a step, at most `num_examples`.
      num_examples: how many examples there are.

    Returns:
      Indices into the examples, shape (batch_size,), int64.

    Raises:
      ValueError: if the batch is empty or larger than the data.
    """
    if not 1 <= batch_size <= num_examples:
        raise ValueError(
            f"batch_size must lie between 1 and the number of examples, {num_examples}; "
            f"got {batch_size}"
        )
    epochs, offsets = np.divmod(step * batch_size + np.arange(batch_size), num_examples)
    return np.array(
        [
            _permutation(seed, int(epoch), num_examples)[offset]
            for epoch, offset in zip(epochs, offsets, strict=True)
        ]
    )


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(num_examples)
