"""Every way to draw directions, with options that fit the params."""

from collections.abc import Callable
from typing import Any

import jax
from hypothesis import strategies as st

import zojax
from tests.fuzz.trees import Leaf, Tree


class Law:
    """A sampler to be made: a function of zojax and its arguments, with a `repr` that is code."""

    def __init__(self, make: Callable[..., zojax.Sampler], /, *args: Any, **options: Any):
        self.make, self.args, self.options = make, args, options

    def __call__(self) -> zojax.Sampler:
        args = [arg() if isinstance(arg, Law) else arg for arg in self.args]
        return self.make(*args, **self.options)

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        args = [repr(arg) for arg in self.args]
        options = [f"{name}={_code(value)}" for name, value in self.options.items()]
        return f"Law({', '.join([_code(self.make), *args, *options])})"


def _code(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({''.join(_code(item) + ', ' for item in value)})"
    if isinstance(value, zojax.Slices):
        return f"zojax.{value!r}"
    if not callable(value):
        return repr(value)
    return value.__name__ if value is labelled else f"zojax.{value.__name__}"


def labelled(*args: Any, labels: tuple, **options: Any) -> zojax.Sampler:
    """`zojax.blocks` with a label for each leaf, in the order of the tree."""

    def of_tree(params: Any) -> Any:
        return jax.tree.unflatten(jax.tree.structure(params), labels)

    return zojax.blocks(*args, of_tree, **options)


def dense() -> st.SearchStrategy[Law]:
    """The isotropic laws without a norm."""
    fine = Law(zojax.gaussian, bits=16), Law(zojax.gaussian, bits=32)
    return st.sampled_from((Law(zojax.gaussian), Law(zojax.rademacher), *fine))


def _factored(leaves: list[Leaf]) -> st.SearchStrategy[Law]:
    sides = [min(leaf.shape[-2:]) for leaf in leaves if len(leaf.shape) > 1 and leaf.size]
    ranks = st.sampled_from([rank for rank in (1, 2, 3, 9) if rank <= max(sides)])
    views = st.sampled_from(
        ({}, {"views": zojax.last_axis_rows}, {"views": zojax.smaller_side}, {})
    )
    kinds = st.sampled_from(
        (
            {},
            {},
            {"left_period": 2, "scale": 1.0},
            {"core": "diagonal", "left_period": None, "right_period": None},
            {"left": "haar", "core": "gaussian", "right": "haar", "left_period": 2},
            {"left": "haar", "core": "gaussian", "right": "identity", "left_period": 2},
            {"left": "identity", "core": "gaussian", "right": "gaussian"},
            {"left": "haar", "core": "gaussian", "right": "gaussian", "right_period": None},
        )
    )
    return st.builds(lambda r, k, v: Law(zojax.factored, r, **k, **v), ranks, kinds, views)


def _anisotropic() -> st.SearchStrategy[Law]:
    return st.builds(
        lambda rho, structure, view, scale: Law(
            zojax.anisotropic, rho, rate=0.25, structure=structure, init_scale=scale, **view
        ),
        st.sampled_from((0.25, 2.0)),
        st.sampled_from(("row_blocks", "whole_tensor")),
        st.sampled_from(({}, {"views": zojax.last_axis_rows})),
        st.sampled_from((1.0, 0.5)),
    )


@st.composite
def _blocks(draw: st.DrawFn, leaves: list[Leaf]) -> Law:
    def label(leaf: Leaf) -> Any:
        name = draw(st.sampled_from("ab"))
        if not leaf.size or not leaf.shape or draw(st.booleans()):
            return name
        axes = draw(st.lists(st.integers(0, len(leaf.shape) - 1), min_size=1, unique=True))
        return zojax.Slices(name + "s", tuple(axes[:2]))

    labels = tuple(label(leaf) for leaf in leaves)
    order = draw(st.sampled_from(("cyclic", "permutation", "random", "descending", "flip_flop")))
    return Law(labelled, draw(dense()), labels=labels, order=order)


def laws(tree: Tree) -> st.SearchStrategy[Law]:
    """All samplers that zojax has, for these params."""
    leaves = tree.in_tree_order()
    return st.one_of(
        st.just(Law(zojax.gaussian)),
        st.just(Law(zojax.rademacher)),
        st.just(Law(zojax.sphere)),
        st.builds(lambda noise: Law(zojax.flipped, noise), dense()),
        st.sampled_from((Law(zojax.coordinate), Law(zojax.coordinate, "cyclic"))),
        _factored(leaves),
        _factored(leaves),
        _anisotropic(),
        _blocks(leaves),
        _blocks(leaves),
    )
