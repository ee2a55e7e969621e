"""Where the arrays of a run lie on the devices: weights, state, and the rows of batches."""

import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import zojax
from zojax import models

# What the axes of a mesh share out: rows of batches, parts of weights, directions.
AXES = ("data", "query", "model")
SHARDS = ("none", "fsdp", "tensor")


def parse_mesh(text: str) -> dict[str, int]:
    """Returns the axes that a text such as "data=2,model=4" names, and their sizes.

    Raises:
      ValueError: for another text.
    """
    axes: dict[str, int] = {}
    for part in text.split(","):
        name, _, size = part.strip().partition("=")
        if name not in AXES or name in axes or not size.isdecimal() or int(size) < 1:
            raise ValueError(
                f"mesh must name axes of {', '.join(AXES)}, each once, and their sizes, such as "
                f"data=2,model=4; got {text!r}"
            )
        axes[name] = int(size)
    return {name: axes[name] for name in AXES if name in axes}


@dataclasses.dataclass(frozen=True)
class Layout:
    """A mesh over all devices of all processes, and what lies how on it.

    Rows of a batch are cut over "data". With `shard` "tensor" the products of each layer are cut
    over "model"; with "fsdp" each matrix is stored in parts over "model", or over "data" where that
    is missing, and gathered where it is used, and rows are cut over "model" as well. Directions are
    shared out over "query".

    A process holds the rows of its devices, so that the array of all processes is the batch that a
    single one would have, row for row.

    Args:
      batch_size: rows of a batch.
      axes: of the mesh, by name; None: "data" over all devices.
      shard: how weights lie: "none" (whole on every device), "fsdp" or "tensor".

    Raises:
      ValueError: if there are more or fewer devices, or the rows cannot be shared out evenly.
    """

    batch_size: int
    axes: dict[str, int] | None = None
    shard: str = "none"

    def __post_init__(self):
        if self.axes is not None and math.prod(self.axes.values()) != jax.device_count():
            named = ",".join(f"{name}={size}" for name, size in self.axes.items())
            raise ValueError(
                f"mesh {named} has {math.prod(self.axes.values())} devices, but there are "
                f"{jax.device_count()}; choose sizes whose product that is (for several devices on "
                "one CPU: XLA_FLAGS=--xla_force_host_platform_device_count=8)"
            )
        parts = math.prod(self.mesh.shape[axis] for axis in self._row_axes)
        if self.batch_size % parts:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared out evenly among {parts} devices; "
                f"choose a multiple of {parts}"
            )

    @functools.cached_property
    def mesh(self) -> Mesh:
        """Devices process by process; their order matters to scalars alone."""
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
        axes = self.axes or {"data": len(devices)}
        kinds = (AxisType.Auto,) * len(axes)
        return Mesh(np.array(devices).reshape(*axes.values()), tuple(axes), axis_types=kinds)

    @property
    def replicated(self) -> NamedSharding:
        """The whole array on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def step_axes(self) -> zojax.Axes:
        """What a method is told of the mesh."""
        query = "query" if "query" in self.mesh.shape else None
        return zojax.Axes(query=query, gathered=self._stored_axis if self.shard == "fsdp" else ())

    @property
    def placement(self) -> dict[str, Any]:
        """What `zojax.models.from_pretrained` is told of the mesh."""
        if self.shard == "none":
            return {}
        rules = models.fully_sharded if self.shard == "fsdp" else models.tensor_parallel
        return {"mesh": self.mesh, "rules": rules(self.mesh, self._stored_axis)}

    @property
    def _stored_axis(self) -> str:
        """The axis over which weights are cut."""
        return "model" if "model" in self.mesh.shape else "data"

    @property
    def _row_axes(self) -> tuple[str, ...]:
        """Those over which rows of a batch are cut."""
        axes = ("data", "model") if self.shard == "fsdp" else ("data",)
        return tuple(axis for axis in axes if axis in self.mesh.shape)

    def replicate(self, tree: Any) -> Any:
        """Puts on all devices what every process has made for itself, without moving it about.

        What lies on the mesh stays there.
        """

        def replicate(leaf: jax.Array) -> jax.Array:
            if getattr(leaf.sharding, "mesh", None) == self.mesh:
                return leaf
            if jax.process_count() == 1:
                return jax.device_put(leaf, self.replicated)
            copies = [jax.device_put(leaf, device) for device in jax.local_devices()]
            return jax.make_array_from_single_device_arrays(leaf.shape, self.replicated, copies)

        return jax.tree.map(replicate, tree)

    def of_state(self, tx: optax.GradientTransformation, params: Any) -> Any:
        """How the state of a transformation lies: trees like params as they do, the rest whole."""
        structure = jax.tree.structure(params)

        def is_like_params(node: Any) -> bool:
            return jax.tree.structure(node) == structure

        def lies(node: Any) -> Any:
            if not is_like_params(node):
                return self.replicated
            return jax.tree.map(
                lambda leaf, param: (
                    param.sharding if leaf.shape == param.shape else self.replicated
                ),
                node,
                params,
            )

        return jax.tree.map(lies, jax.eval_shape(tx.init, params), is_leaf=is_like_params)

    def own(self, rows: Any) -> Any:
        """The rows of this process, along the first axis."""
        places = self._rows(0).addressable_devices_indices_map((len(rows),)).values()
        starts = [place.start or 0 for (place,) in places]
        stops = [len(rows) if place.stop is None else place.stop for (place,) in places]
        return rows[min(starts) : max(stops)]

    def assemble(self, rows: Any, axis: int = 0) -> Any:
        """From the own rows, a tree of numpy arrays, to arrays of all rows over all devices.

        Neither the copy to the devices nor what they are doing is waited for.

        Args:
          rows: of this process.
          axis: along which the rows lie.
        """
        sharding = self._rows(axis)
        if jax.process_count() == 1:
            return jax.device_put(rows, sharding)
        return jax.tree.map(
            lambda part: jax.make_array_from_process_local_data(sharding, part), rows
        )

    def share(self, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """As `assemble`, from a batch that every process has as a whole."""
        return self.assemble({name: self.own(array) for name, array in batch.items()})

    def _rows(self, axis: int) -> NamedSharding:
        """Of arrays whose rows lie along an axis."""
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, self._row_axes or None))


def local(tree: Any) -> Any:
    """Whole arrays that this process can use alone; all processes have to ask.

    A program over the devices of all processes has to be started by all of them.
    """

    def whole(leaf: jax.Array) -> Any:
        if leaf.is_fully_replicated:
            return leaf.addressable_data(0)
        if leaf.is_fully_addressable:
            return jax.device_get(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(whole, tree)
