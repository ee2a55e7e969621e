"""Whether replicas of the same arrays are still the same, bit by bit."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zojax.training._hashing import hash_array


def check_replicas(tree: Any) -> None:
    """Raises an error if copies of an array on different devices, of any process, are different.

    Every device hashes what it holds of each leaf (`zojax.training._hashing`), and the hashes of
    all devices that should hold the same are compared. A change within one word of 32 bits, such as
    a single bit, is always found; changes of several words escape with a probability of 2^-32.

    One reading of the arrays, no copy of them; 4 bytes for each leaf and device are gathered. Where
    nothing is replicated nothing is computed. Of several processes all have to call this, and all
    get the error. The host waits for the arrays.

    Args:
      tree: of arrays, such as params. Those that are sharded over a mesh are checked, typed PRNG
        keys among them; others have one copy, and are left out.

    Raises:
      RuntimeError: naming the leaves that differ, and the devices where they do.

    Examples:
      >>> import jax
      >>> from zojax.training import check_replicas
      >>> check_replicas({"w": jax.numpy.ones(3)})
    """
    by_mesh: dict[Mesh, dict[str, jax.Array]] = {}
    for path, leaf in jax.tree.flatten_with_path(tree)[0]:
        if isinstance(leaf.sharding, NamedSharding) and _is_replicated(leaf):
            of_mesh = by_mesh.setdefault(leaf.sharding.mesh, {})
            of_mesh[jax.tree_util.keystr(path)] = leaf
    for mesh, leaves in by_mesh.items():
        _compare(mesh, leaves)


def _is_replicated(leaf: jax.Array) -> bool:
    twins = _twins(leaf.sharding, leaf.shape)
    return bool((twins != np.arange(twins.size)).any())


@functools.lru_cache(maxsize=1024)
def _twins(sharding: NamedSharding, shape: tuple[int, ...]) -> np.ndarray:
    """For each device of the mesh, the place of the first one that holds the same part."""
    parts = sharding.devices_indices_map(shape)
    first: dict[str, int] = {}
    devices = enumerate(sharding.mesh.devices.flat)
    return np.array([first.setdefault(str(parts[device]), place) for place, device in devices])


def _compare(mesh: Mesh, leaves: dict[str, jax.Array]) -> None:
    specs = tuple(leaf.sharding.spec for leaf in leaves.values())
    hashes = np.asarray(_hashes(mesh, specs)(tuple(leaves.values())))
    hashes = hashes.reshape(mesh.size, len(leaves))
    different = []
    for (name, leaf), found in zip(leaves.items(), hashes.T, strict=True):
        twins = _twins(leaf.sharding, leaf.shape)
        if (found != found[twins]).any():
            names = (_name(mesh.devices.flat[place]) for place in _odd_places(found, twins))
            different.append(f"{name} on {', '.join(names)}")
    if different:
        raise RuntimeError(
            "replicas of the same arrays are different, so the devices no longer train the same "
            f"model: {'; '.join(different)}. Start again from the last checkpoint; if it comes "
            "back, suspect the hardware of these devices, or data that differ between processes"
        )


def _odd_places(found: np.ndarray, twins: np.ndarray) -> list[int]:
    """The devices that differ from most of those with the same part, or else from the first."""
    places = []
    for first in np.unique(twins):
        same = np.flatnonzero(twins == first)
        values = found[same].tolist()
        usual = max(values, key=values.count)  # the first one of those that are as common
        places += [int(p) for p, value in zip(same, values, strict=True) if value != usual]
    return places


@functools.lru_cache(maxsize=16)
def _hashes(mesh: Mesh, specs: tuple[PartitionSpec, ...]) -> Callable[..., jax.Array]:
    """A program from arrays to hashes, mesh shape + (arrays,), on every device."""
    axes = mesh.axis_names

    def of_device(arrays: Sequence[jax.Array]) -> jax.Array:
        found = jnp.stack([hash_array(array) for array in arrays])
        return found.reshape((1,) * len(axes) + found.shape)

    sharded = jax.shard_map(
        of_device, mesh=mesh, in_specs=(specs,), out_specs=PartitionSpec(*axes), check_vma=False
    )
    return jax.jit(sharded, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _name(device: jax.Device) -> str:
    return f"device {device.id} of process {device.process_index}"
