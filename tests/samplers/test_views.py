"""Views: which axes of a leaf count rows, which columns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax import MatrixView

SHAPES = {"query": (6, 2, 3), "out": (2, 3, 6), "stacked_query": (2, 6, 2, 3), "turned": (4, 2, 5)}
VIEWS = {
    "query": MatrixView(rows=(0,), columns=(1, 2)),
    "out": MatrixView(rows=(0, 1), columns=(2,)),
    "stacked_query": MatrixView(rows=(1,), columns=(2, 3), batch=(0,)),
    "turned": MatrixView(rows=(2,), columns=(0,), batch=(1,)),
}
PARAMS = {name: jnp.zeros(shape) for name, shape in SHAPES.items()}


def by_name(path, leaf):
    return VIEWS[path[-1].key]


def as_matrices(name, z):
    """(batch, m, n) of a leaf by its view."""
    view = VIEWS[name]
    m, n = view.sizes(SHAPES[name])
    return np.transpose(z, (*view.batch, *view.rows, *view.columns)).reshape(-1, m, n)


def test_sizes_multiply_the_axes_of_a_side():
    sizes = {name: view.sizes(SHAPES[name]) for name, view in VIEWS.items()}
    assert sizes == {"query": (6, 6), "out": (6, 6), "stacked_query": (6, 6), "turned": (5, 4)}


def test_a_direction_has_its_rank_in_the_given_view(key):
    """Attention kernels are one matrix a layer, not one a head; c is that of the matrix."""
    sampler = zojax.factored(2, right="identity", core="gaussian", scale=1.0, views=by_name)
    directions, _ = jax.jit(sampler.draw, static_argnums=3)({}, key, 0, 1, PARAMS)
    z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), PARAMS)
    for name, leaf in z.items():
        assert leaf.shape == SHAPES[name]
        assert (np.linalg.matrix_rank(as_matrices(name, leaf), tol=1e-4) == 2).all()
    # A gaussian L and a gaussian core join r m-by-n pairs, an identity a 1/n-th of them.
    c = sampler.covariance(PARAMS)
    assert c == {name: pytest.approx(2) for name in SHAPES}


def test_the_recipe_is_the_matrix_product_of_its_view(key):
    """z = scale L Rᵀ with the axes of the leaf put back in their places."""
    sampler = zojax.factored(2, left_period=None, right_period=None, scale=3.0, views=by_name)
    directions, state = jax.jit(sampler.draw, static_argnums=3)(
        sampler.init(PARAMS), key, 0, 1, PARAMS
    )
    z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), PARAMS)
    for name, left, right in zip(sorted(SHAPES), state["left"], state["right"], strict=True):
        expected = 3 * left @ jnp.swapaxes(right, -1, -2)
        got = as_matrices(name, z[name])
        np.testing.assert_allclose(got, expected.reshape(got.shape), atol=1e-5)


def test_the_default_view_is_the_last_two_axes():
    view = zojax.samplers.last_two_axes
    assert view((), jnp.zeros(3)) is None
    assert view((), jnp.zeros((3, 4))) == MatrixView(rows=(0,), columns=(1,))
    assert view((), jnp.zeros((2, 5, 3, 4))) == MatrixView(rows=(2,), columns=(3,), batch=(0, 1))


@pytest.mark.parametrize(
    "view",
    [
        MatrixView(rows=(0,), columns=(1,)),
        MatrixView(rows=(0,), columns=(1, 1, 2)),
        MatrixView(rows=(), columns=(2,), batch=(0, 1)),
        MatrixView(rows=(0, 1), columns=(-1,)),
    ],
    ids=["an axis missing", "an axis twice", "no rows", "negative axis"],
)
def test_a_view_that_does_not_fit_is_refused(view):
    sampler = zojax.factored(1, views=lambda path, leaf: view)
    with pytest.raises(ValueError, match=r"params\['w'\] of shape \(2, 3, 4\).*axes 0...2 once"):
        sampler.init({"w": jnp.zeros((2, 3, 4))})
