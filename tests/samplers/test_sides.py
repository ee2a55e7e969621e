"""Which axis of a kernel is the side that a one-sided factor gets."""

import jax
import jax.numpy as jnp
import pytest

import zojax
from zojax import MatrixView


def seen(view, params):
    return [view(path, leaf) for path, leaf in jax.tree.leaves_with_path(params)]


def test_the_last_axis_counts_rows():
    """(in, out) has out rows, as PyTorch's (out, in) has; what is stacked is a batch."""
    params = [jnp.zeros(3), jnp.zeros((3, 4)), jnp.zeros((2, 5, 3, 4))]
    assert seen(zojax.last_axis_rows, params) == [
        None,
        MatrixView(rows=(1,), columns=(0,)),
        MatrixView(rows=(3,), columns=(2,), batch=(0, 1)),
    ]
    assert zojax.last_axis_rows((), params[1]).sizes((3, 4)) == (4, 3)


def test_the_smaller_side_counts_rows():
    shapes = [(3, 4), (4, 3), (4, 4), (2, 3, 4)]
    views = seen(zojax.smaller_side, [jnp.zeros(shape) for shape in shapes])
    sizes = [view.sizes(shape) for view, shape in zip(views, shapes, strict=True)]
    assert sizes == [(3, 4), (3, 4), (4, 4), (3, 4)]
    assert views[-1].batch == (0,)
    assert zojax.smaller_side((), jnp.zeros(3)) is None


@pytest.mark.parametrize("view", [zojax.last_axis_rows, zojax.smaller_side])
def test_stacked_biases_and_scales_are_no_matrices(view):
    """Of Flax's names; "biased" is another word."""
    layer = {"bias": jnp.zeros((2, 8)), "scale": jnp.zeros((2, 8))}
    assert seen(view, {"norm": layer}) == [None, None]
    assert None not in seen(view, {"biased": jnp.zeros((2, 8)), "kernel": jnp.zeros((2, 8))})
