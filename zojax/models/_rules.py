"""Where the weights of any family lie on a mesh."""

import fnmatch
import math

from jax.sharding import Mesh, PartitionSpec

from zojax.models._placement import Path, Rule

# Products that widen: each device makes a part of the features.
_WIDENS = (
    *("q_proj", "k_proj", "v_proj", "qkv_proj", "query", "key", "value", "c_attn"),
    *("fc1", "gate_proj", "up_proj", "gate_up_proj", "intermediate.dense", "c_fc", "lm_head"),
)
# Products that bring the parts together again: each device adds a term.
_NARROWS = ("out_proj", "o_proj", "output.dense", "c_proj", "fc2", "down_proj")


def tensor_parallel(mesh: Mesh, axis: str) -> Rule:
    """Cuts the products of every layer over an axis, so that each device does a part of each.

    Projections into heads and the first matrices of an MLP are cut along what they give, with their
    biases; output projections and the last matrices along what they take, so that a layer adds up
    activations twice and sends no weight. Tables are cut along their width. Norms, the biases of
    sums, poolers and classifiers are whole everywhere, as is what the axis does not divide. Where
    one matrix makes several parts (c_attn, qkv_proj, gate_up_proj), these are sent between devices.

    For `rules` of `zojax.models.from_pretrained`; needs no `zojax.Axes`.

    Args:
      mesh: of the devices.
      axis: one of its axes.

    Source: Shoeybi et al., "Megatron-LM", arXiv:1909.08053, section 3.
    """
    size = mesh.shape[axis]

    def rule(path: Path, shape: tuple[int, ...]) -> PartitionSpec:
        *module, name = path
        owner = ".".join(map(str, module))
        cut = None
        if _ends(owner, _WIDENS) or name == "embedding":
            cut = len(shape) - 1
        elif _ends(owner, _NARROWS) and name == "kernel":
            cut = len(shape) - 2
        return _along(axis, size, cut, shape)

    return rule


def fully_sharded(mesh: Mesh, axis: str) -> Rule:
    """Stores every matrix in parts over an axis, cut along its longest side (FSDP).

    Tables are cut along their width instead, so that a device looks up its part of every row. A
    matrix is gathered where it is used, a layer at a time, and a large one in blocks: give the
    method `axes=zojax.Axes(gathered=axis)`, and the batch may be cut over the same axis. Vectors
    are whole everywhere, as is what the axis does not divide.

    For `rules` of `zojax.models.from_pretrained`.

    Args:
      mesh: of the devices.
      axis: one of its axes.
    """
    size = mesh.shape[axis]

    def rule(path: Path, shape: tuple[int, ...]) -> PartitionSpec:
        layers = 1 if "layers" in path else 0
        sides = [side for side in range(layers, len(shape)) if shape[side] % size == 0]
        cut = max(sides, key=lambda side: shape[side], default=None)
        if path[-1] == "embedding" and len(shape) - 1 in sides:
            cut = len(shape) - 1
        return _along(axis, size, cut if len(shape) - layers > 1 else None, shape)

    return rule


def _ends(owner: str, names: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(f".{owner}", f"*.{name}") for name in names)


def _along(axis: str, size: int, cut: int | None, shape: tuple[int, ...]) -> PartitionSpec:
    if cut is None or math.prod(shape) == 0 or shape[cut] % size:
        return PartitionSpec()
    return PartitionSpec(*(axis if side == cut else None for side in range(len(shape))))
