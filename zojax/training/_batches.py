"""Which examples a step sees, as a pure function of the seed and the step.

A run that resumes at a step therefore sees the batches that it would have seen, and nothing about
the data has to be stored in a checkpoint.
"""

import grain


def batches(
    num_examples: int, batch_size: int, seed: int, *, shard_index: int = 0, shard_count: int = 1
) -> grain.MapDataset:
    """Returns the examples of every step, by step.

    Permutations of all examples, one an epoch, are laid end to end; step t takes the entries from
    t·batch_size to (t+1)·batch_size of that line. So every example comes once an epoch, and a batch
    may reach over the end of an epoch into the next. Of a batch, shard s holds the entries s,
    s + shard_count, s + 2·shard_count, …: all shards together see what a single one would see.

    Args:
      num_examples: how many examples there are.
      batch_size: examples a step, of all shards together; at most `num_examples`.
      seed: chooses the permutations; at least 0.
      shard_index: which shard this is, usually `jax.process_index()`.
      shard_count: how many there are, usually `jax.process_count()`; divides `batch_size`.

    Returns:
      A dataset without end. Element t holds indices into the examples, shape
      (batch_size / shard_count,), int64. `.map(f)` makes batches of indices into what `f` returns,
      and `[t:].to_iter_dataset()` reads ahead in threads from step t on.

    Raises:
      ValueError: if the batch is empty, larger than the data, or not a multiple of the shards; if
        there is no such shard.

    Examples:
      >>> from zojax.training import batches
      >>> order = batches(num_examples=100, batch_size=4, seed=0)
      >>> order[7].shape
      (4,)
      >>> ahead = order.map(lambda indices: {"input": indices})[7:].to_iter_dataset()
      >>> bool((next(iter(ahead))["input"] == order[7]).all())
      True
    """
    if not 1 <= batch_size <= num_examples:
        raise ValueError(
            f"batch_size must lie between 1 and the number of examples, {num_examples}; "
            f"got {batch_size}"
        )
    if not 0 <= shard_index < shard_count:
        raise ValueError(
            f"shard_index must lie between 0 and {shard_count - 1}, the last of the "
            f"shard_count = {shard_count} shards; got {shard_index}"
        )
    if batch_size % shard_count:
        raise ValueError(
            f"batch_size {batch_size} cannot be shared out evenly among shard_count = "
            f"{shard_count} shards; choose a multiple of {shard_count}"
        )
    # `seed` scrambles the seed first: `shuffle(seed)` adds the epoch to it, so that runs with
    # neighboring seeds would see the same permutations one epoch apart.
    line = grain.MapDataset.range(num_examples).seed(seed).shuffle().repeat()
    return line[shard_index::shard_count].batch(batch_size // shard_count)
