"""Where the arrays of a run lie: weights and state on every device, batches shared out by rows."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


@dataclasses.dataclass(frozen=True)
class Layout:
    """A mesh with one axis, "data", over all devices of all processes.

    Process p holds the p-th part of the rows of a batch, so that the array of all processes is the
    batch that a single one would have, row for row.

    Args:
      batch_size: rows of a batch.

    Raises:
      ValueError: if the rows cannot be shared out evenly.
    """

    batch_size: int

    def __post_init__(self):
        if self.batch_size % jax.device_count():
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared out evenly among "
                f"{jax.device_count()} devices; choose a multiple of {jax.device_count()}"
            )

    @functools.cached_property
    def mesh(self) -> Mesh:
        """Devices process by process; their order matters to scalars alone."""
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
        return Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))

    @property
    def replicated(self) -> NamedSharding:
        """The whole array on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    def replicate(self, tree: Any) -> Any:
        """Puts on all devices what every process has made for itself, without moving it about."""
        if jax.process_count() == 1:
            return jax.device_put(tree, self.replicated)

        def replicate(leaf):
            copies = [jax.device_put(leaf, device) for device in jax.local_devices()]
            return jax.make_array_from_single_device_arrays(leaf.shape, self.replicated, copies)

        return jax.tree.map(replicate, tree)

    def own(self, rows: Any) -> Any:
        """The part of this process, along the first axis."""
        size = len(rows) // jax.process_count()
        return rows[jax.process_index() * size :][:size]

    def assemble(self, rows: Any, axis: int = 0) -> Any:
        """From the own rows, a tree of numpy arrays, to arrays of all rows over all devices.

        Neither the copy to the devices nor what they are doing is waited for.

        Args:
          rows: of this process.
          axis: along which the rows lie.
        """
        sharding = NamedSharding(self.mesh, PartitionSpec(*[None] * axis, "data"))
        if jax.process_count() == 1:
            return jax.device_put(rows, sharding)
        return jax.tree.map(
            lambda part: jax.make_array_from_process_local_data(sharding, part), rows
        )

    def share(self, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """As `assemble`, from a batch that every process has as a whole."""
        return self.assemble({name: self.own(array) for name, array in batch.items()})


def local(tree: Any) -> Any:
    """The copy on the first device of this process, for what it does alone; of replicated arrays.

    A program over the devices of all processes has to be started by all of them.
    """
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)
