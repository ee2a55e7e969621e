"""Weights that a test may change: they wait on the host, and are put back before each trial."""

from typing import Any

import jax
import numpy as np


class WeightsOnHost:
    """A copy of arrays in the memory of the host, each process those of its own devices.

    Args:
      params: a tree of arrays; they are given up, so that one copy is on the devices at a time.
    """

    def __init__(self, params: Any):
        leaves, self._structure = jax.tree.flatten(params)
        self._shapes = [(leaf.shape, leaf.sharding) for leaf in leaves]
        self._parts = [
            [(part.device, np.array(part.data)) for part in leaf.addressable_shards]
            for leaf in leaves
        ]
        self.drop(params)

    def put_back(self) -> Any:
        """Returns the arrays anew; they may be donated."""
        leaves = [
            jax.make_array_from_single_device_arrays(
                # A copy: on a CPU an array may be the memory that it was made from.
                *like,
                [jax.device_put(part.copy(), device) for device, part in parts],
            )
            for like, parts in zip(self._shapes, self._parts, strict=True)
        ]
        return jax.tree.unflatten(self._structure, leaves)

    @staticmethod
    def drop(params: Any) -> None:
        """Gives memory of the devices back."""
        for leaf in jax.tree.leaves(params):
            leaf.delete()
