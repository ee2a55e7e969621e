"""The atoms of adapters: the terms of rank 1 that a product of two factors is the sum of."""

from collections.abc import Callable

import jax

from zojax import _checks
from zojax._typing import Params
from zojax.samplers.blocks._labels import Slices

Atoms = Callable[[tuple, jax.Array], int | None]
"""(path, leaf) -> the axis along which a factor counts atoms, or None where it is no factor."""


def flax_factors(path: tuple, leaf: jax.Array) -> int | None:
    """The axis of rank of LoRA's factors under Flax's names.

    lora_a, (..., in, rank), counts atoms along its last axis, lora_b, (..., rank, out), along the
    one before it.
    """
    names = _names(path)
    if not names or leaf.ndim < 2:
        return None
    return {"lora_a": -1, "lora_b": -2}.get(names[-1])


def atom_labels(atoms: Atoms = flax_factors, *, layers: str = "all") -> Callable[[Params], Params]:
    """Labels that make a block of each atom of an adapter, for `zojax.blocks`.

    Atom i of a layer is column i of A, (in, rank), and row i of B, (rank, out), together.

    Args:
      atoms: which axis of a leaf counts atoms.
      layers: with "all", block i is atom i of every layer; of a layer with r atoms, fewer than
        another, it is atom i mod r, and there are as many blocks as the least common multiple of
        all ranks. With "one", every atom of every layer is a block. A layer is what lies below one
        path, and in a stack of layers one entry of the axes before the last two.

    Raises:
      ValueError: for another `layers`; when it is applied, if params are empty or have a leaf that
        is no factor, or factors below one path do not have equally many atoms.
    """
    _checks.one_of(("all", "one"), layers=layers)

    def labels(params: Params) -> Params:
        if not jax.tree.leaves(params):
            raise ValueError(
                "params have no leaves: with nnx.split(model, nnx.LoRAParam, ...) that is a model "
                "without adapters; put some in with zojax.lora.adapt(model, targets, ...) first"
            )
        counts: dict[tuple[str, ...], tuple[int, ...]] = {}

        def label(path: tuple, leaf: jax.Array) -> Slices:
            axis = _checked_axis(atoms, path, leaf)
            stack = tuple(other for other in range(leaf.ndim - 2) if other != axis)
            layer = _names(path)[:-1]
            _check_pair(counts, layer, tuple(leaf.shape[n] for n in (*stack, axis)))
            if layers == "all":
                return Slices("atoms", (axis,))
            return Slices(("atoms", *layer), tuple(sorted((*stack, axis))))

        return jax.tree.map_with_path(label, params)

    return labels


def _names(path: tuple) -> list[str]:
    """The names along a path, without the one under which Flax's variables hold their array."""
    names = [jax.tree_util.keystr((entry,), simple=True) for entry in path]
    return names[:-1] if names[1:] and names[-1] == "value" else names


def _checked_axis(atoms: Atoms, path: tuple, leaf: jax.Array) -> int:
    name = f"params{jax.tree_util.keystr(path)} of shape {leaf.shape}"
    axis = atoms(path, leaf)
    if axis is None:
        raise ValueError(
            f"{name} is no factor of an adapter. Train the factors alone, "
            "nnx.split(model, nnx.LoRAParam, ...), and pass the rest to value_fn as an argument; "
            "or, if they are not called lora_a and lora_b, give atoms=(path, leaf) -> the axis of "
            "rank"
        )
    if not -leaf.ndim <= axis < leaf.ndim:
        raise ValueError(f"atoms gave axis {axis} for {name}, which it does not have")
    return axis % leaf.ndim


def _check_pair(counts: dict, layer: list[str], count: tuple[int, ...]) -> None:
    """Else atoms would be put together of halves that do not belong together."""
    before = counts.setdefault(tuple(layer), count)
    if before != count:
        raise ValueError(
            f"the factors below {'/'.join(layer) or 'params'} count {before} and {count} atoms "
            "(stacked layers, then rank), but those of one adapter have equally many: give atoms= "
            "the axis of rank of each, and every adapter a name of its own"
        )
