"""Params: leaves of many shapes and dtypes, in the containers that people keep them in."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from hypothesis import strategies as st


class Leaf(NamedTuple):
    """Shape and dtype of a leaf; weakly typed ones come of numbers of Python."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    weak: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def made(self, place: int) -> jax.Array:
        """The leaf with numbers in it that its place in the tree decides."""
        values = np.cos(1.0 + 7 * place + 1.7 * np.arange(self.size)).reshape(self.shape)
        if self.weak:
            return weakly_typed(values)
        return jnp.asarray(values.astype(jnp.dtype(self.dtype)))


def weakly_typed(values: np.ndarray) -> jax.Array:
    """An array of the default dtype that gives way to the dtypes it meets."""
    numbers = [jnp.asarray(float(value)) for value in np.ravel(values)]
    return jnp.stack(numbers).reshape(np.shape(values))


# A container: leaves -> params, and params -> leaves as a loss would read them.


def _names(leaves: Sequence[Any]) -> list[str]:
    return [f"w{place}" for place in range(len(leaves))]


def flat(leaves: Sequence[Any]) -> tuple[Any, Callable]:
    """A dict."""
    names = _names(leaves)
    return dict(zip(names, leaves, strict=True)), lambda params: [params[n] for n in names]


def listed(leaves: Sequence[Any]) -> tuple[Any, Callable]:
    """A list."""
    return list(leaves), list


def nested(leaves: Sequence[Any]) -> tuple[Any, Callable]:
    """Tuples in a dict, as layers of a model."""
    half = (len(leaves) + 1) // 2
    params = {"blocks": tuple(leaves[:half]), "head": {"kernel": list(leaves[half:])}}
    return params, lambda params: [*params["blocks"], *params["head"]["kernel"]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    """A module as of Equinox: a dataclass of arrays, and of what is none."""

    weights: tuple[Any, ...]
    name: str = dataclasses.field(metadata={"static": True})


def registered(leaves: Sequence[Any]) -> tuple[Any, Callable]:
    """A dataclass."""
    return Layer(tuple(leaves), "layer"), lambda params: list(params.weights)


class _Nnx(nnx.Module):
    def __init__(self, leaves: Sequence[Any]):
        for name, leaf in zip(_names(leaves), leaves, strict=True):
            setattr(self, name, nnx.Param(leaf))

    def __call__(self) -> list[Any]:
        count = len([name for name in vars(self) if name.startswith("w")])
        return [getattr(self, f"w{place}")[...] for place in range(count)]


def nnx_state(leaves: Sequence[Any]) -> tuple[Any, Callable]:
    """The state of a Flax NNX module, which is merged in the loss."""
    graphdef, params = nnx.split(_Nnx(leaves), nnx.Param)
    return params, lambda params: nnx.merge(graphdef, params)()


class _Linen(nn.Module):
    shapes: tuple[tuple[int, ...], ...]

    @nn.compact
    def __call__(self) -> list[Any]:
        return [
            self.param(f"w{place}", nn.initializers.zeros, shape)
            for place, shape in enumerate(self.shapes)
        ]


def linen_variables(leaves: Sequence[Any]) -> tuple[Any, Callable]:
    """The variables of a Flax Linen module."""
    module = _Linen(tuple(jnp.shape(leaf) for leaf in leaves))
    return {"params": dict(zip(_names(leaves), leaves, strict=True))}, module.apply


CONTAINERS = (flat, listed, nested, registered, nnx_state, linen_variables)


class Tree(NamedTuple):
    """Params to be made."""

    leaves: tuple[Leaf, ...]
    container: Callable[[Sequence[Any]], tuple[Any, Callable]] = flat

    def __repr__(self) -> str:
        return f"Tree({self.leaves!r}, {self.container.__name__})"

    def made(self) -> tuple[Any, Callable]:
        """Params, and the function that reads their leaves."""
        return self.container([leaf.made(place) for place, leaf in enumerate(self.leaves)])

    def in_tree_order(self) -> list[Leaf]:
        """The leaves as `jax.tree.leaves` goes through params."""
        params, _ = self.container(list(range(len(self.leaves))))
        return [self.leaves[place] for place in jax.tree.leaves(params)]


_ORDINARY = st.lists(st.sampled_from((1, 2, 3, 4, 5)), max_size=3).map(tuple)
_SHAPES = st.one_of(
    _ORDINARY,
    st.sampled_from(((4, 3), (3, 3), (2, 3, 4), (3, 4, 4), (5,), (6, 4))),
    st.sampled_from(((2, 40), (40,), (12, 10), (2, 3, 4, 2), (2, 2, 4, 4))),
    st.sampled_from(((), (1,), (0,), (3, 0), (0, 4), (1, 1))),
)


@st.composite
def trees(draw: st.DrawFn, *, wide: bool = False) -> Tree:
    """Trees of 1 to 4 leaves; `wide` ones are float64 for the most part.

    The first leaf has two axes and entries.
    """
    default = "float64" if wide else "float32"
    mixed = ("float32", "bfloat16", "float16", default)
    dtypes = draw(st.sampled_from(((default,), (default,), ("bfloat16",), ("float16",), mixed)))

    def leaf(shapes: st.SearchStrategy) -> Leaf:
        return Leaf(draw(shapes), draw(st.sampled_from(dtypes)))

    leaves = [leaf(st.sampled_from(((4, 3), (3, 3), (2, 3, 4), (6, 4), (12, 10))))]
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.integers(0, 11)) == 11:
            leaves.append(Leaf(draw(st.sampled_from(((), (3,)))), default, weak=True))
        else:
            leaves.append(leaf(_SHAPES))
    return Tree(tuple(leaves), draw(st.sampled_from(CONTAINERS)))
