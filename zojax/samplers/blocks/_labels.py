"""Which leaf, or which slice of a leaf, belongs to which block."""

import dataclasses
import math
import re
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np

from zojax._typing import Params


@dataclasses.dataclass(frozen=True)
class Slices:
    """The label of a leaf that holds one entry of each of several blocks along some of its axes.

    A stack of layers (layers, in, out) is Slices("layers"); the atoms of a LoRA matrix (in, rank)
    are Slices("atoms", (-1,)). Slice i of all leaves with one name is one block. Leaves with fewer
    slices go round more often: block i holds slice i mod n of a leaf with n, and there are as many
    blocks as the least common multiple of all n.

    Attributes:
      name: of the blocks.
      axes: those that are cut; with several, the slices are numbered in C order.
    """

    name: Hashable
    axes: tuple[int, ...] = (0,)


Labels = Params | Callable[[Params], Params]
"""A tree like params of labels (hashable, or `Slices`), or a function from params to one."""


class Place(NamedTuple):
    """Where the blocks of one leaf are.

    Attributes:
      first: number of the first of them.
      count: how many the name has.
      cut: the axes that are cut.
      sizes: the lengths of those.
    """

    first: int
    count: int
    cut: tuple[int, ...]
    sizes: tuple[int, ...]


def places(labels: Labels, params: Params) -> tuple[list[Place], int]:
    """The places of all leaves of params, and the number of blocks.

    Blocks are numbered in the order in which their labels occur.

    Raises:
      ValueError: if the labels do not match params, or an axis that is cut does not exist.
    """
    tree = labels(params) if callable(labels) else labels
    if jax.tree.structure(tree) != jax.tree.structure(params):
        raise ValueError(
            "labels must be a tree like params with one label for each leaf, got "
            f"{jax.tree.structure(tree)} for params with {jax.tree.structure(params)}"
        )
    found, counts = [], {}
    for (path, leaf), label in zip(
        jax.tree.leaves_with_path(params), jax.tree.leaves(tree), strict=True
    ):
        cut, name = _cut(label, path, leaf)
        sizes = tuple(leaf.shape[axis] for axis in cut)
        counts[name] = math.lcm(counts.get(name, 1), math.prod(sizes))
        found.append((name, cut, sizes))
    ends = np.cumsum(list(counts.values())).tolist()
    firsts = {name: end - counts[name] for name, end in zip(counts, ends, strict=True)}
    return [Place(firsts[name], counts[name], cut, sizes) for name, cut, sizes in found], ends[-1]


def _cut(label: Any, path: tuple, leaf: jax.Array) -> tuple[tuple[int, ...], Hashable]:
    if not isinstance(label, Slices):
        return (), label
    cut = sorted({axis % leaf.ndim for axis in label.axes if -leaf.ndim <= axis < leaf.ndim})
    if len(cut) != len(label.axes) or 0 in leaf.shape:
        raise ValueError(
            f"labels cut params{jax.tree_util.keystr(path)} of shape {leaf.shape} along axes "
            f"{label.axes}; these must be different axes that it has, and it must not be empty"
        )
    return tuple(cut), label.name


def layer_blocks(stacked: tuple[str, ...] = ("layers",)) -> Callable[[Params], Params]:
    """Labels that make one block of each layer, one of the embeddings and one of the rest.

    A leaf whose path has a number (`blocks/3/kernel`) belongs to the layer of that number. A leaf
    without, below one of the names `stacked`, is a stack of layers along axis 0, as scanned models
    keep them. Below a name that ends in a number (`Block_3/Dense_0/kernel`), a leaf belongs to the
    layer of the first such name. Of the others, those with "embed" in their path are one block, and
    what is left (the last norm, the head) is another.

    Args:
      stacked: names under which leaves are stacks of layers.

    Raises:
      ValueError: when it is applied, if stacks below one name have different lengths.

    Source: the groups of Malladi et al., arXiv:2305.17333, App. B.3.
    """

    def labels(params: Params) -> Params:
        lengths: dict[str, dict[int, str]] = {}

        def label(path: tuple, leaf: jax.Array) -> Hashable | Slices:
            words = [jax.tree_util.keystr((entry,), simple=True) for entry in path]
            stack = next((word for word in words if word in stacked), None)
            if numbered := _until(words, r"\d+"):
                return numbered
            if stack is not None and leaf.ndim:
                lengths.setdefault(stack, {})[leaf.shape[0]] = jax.tree_util.keystr(path)
                return Slices(stack)
            embedded = any("embed" in word for word in words)
            return _until(words, r".*_\d+") or ("embeddings" if embedded else "rest")

        tree = jax.tree.map_with_path(label, params)
        for name, found in lengths.items():
            if len(found) > 1:
                raise ValueError(
                    f"leaves below {name!r} are read as stacks of layers, but their first axes "
                    f"have different lengths: {found}; give layer_blocks(stacked=...) the names "
                    "of real stacks, or a label tree of your own"
                )
        return tree

    return labels


def _until(words: list[str], pattern: str) -> str | None:
    """The path up to the first word of this form."""
    found = [place for place, word in enumerate(words) if re.fullmatch(pattern, word)]
    return "/".join(words[: found[0] + 1]) if found else None
