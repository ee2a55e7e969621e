"""What a run says about itself: curvature, the way it goes, rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from experiments._curvature import measure_curvature
from experiments._sketch import SIZE, cosine, sketch

PARAMS = {"a": jnp.array([1.0, -2.0, 0.5]), "b": jnp.ones((2, 2))}


def curvature(value_fn, num_directions, radius=0.5):
    return measure_curvature(
        value_fn,
        PARAMS,
        jax.random.key(3),
        7,
        radius=radius,
        num_directions=num_directions,
        axes=zojax.Axes(),
    )


def test_along_directions_a_quadratic_has_the_curvature_of_its_hessian():
    """z·H z of the very directions, whatever the radius and the slope."""
    scales = {"a": 2.0, "b": 5.0}

    def quadratic(params):
        return sum(jnp.sum(scales[k] * x**2 / 2 + 3 * x) for k, x in params.items())

    directions, _ = zojax.gaussian().draw((), jax.random.key(3), jnp.int32(7), 2, PARAMS)
    z = jax.vmap(lambda one: zojax.materialize(one, PARAMS))(directions)
    expected = np.mean([sum(scales[k] * np.sum(z[k][i] ** 2) for k in z) for i in range(2)])
    for radius in (0.5, 2.0):
        found = curvature(quadratic, 2, radius)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_over_many_directions_it_is_the_trace():
    """Of H = 2 I in 7 dimensions; the variance of a term is 2 ‖H‖² = 56."""
    found = curvature(lambda params: sum(jnp.sum(x**2) for x in params.values()), 400)
    assert abs(found - 14) < 5 * np.sqrt(56 / 400)


def test_a_sketch_is_linear_and_keeps_angles():
    key = jax.random.key(0)
    x, y = ({"w": jax.random.normal(k, (50, 100)), "b": jnp.ones(7)} for k in jax.random.split(key))
    mixed = jax.tree.map(lambda a, b: 0.6 * a + 0.8 * b, x, y)
    np.testing.assert_allclose(sketch(mixed), 0.6 * sketch(x) + 0.8 * sketch(y), atol=1e-4)
    flat = [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(t)]) for t in (x, y, mixed)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        trees = (x, y, mixed)
        expected = cosine(flat[i], flat[j])
        found = cosine(sketch(trees[i]), sketch(trees[j]))
        assert abs(found - expected) < 5 / np.sqrt(SIZE)
    assert np.isnan(cosine(jnp.zeros(3), jnp.ones(3)))


def test_signs_differ_between_places_and_leaves():
    """Of equal leaves, or of entries that share a place of the sketch, they do not add up."""
    ones = [jnp.ones(64 * SIZE)] * 2
    spread = np.asarray(sketch(ones))
    assert abs(spread.mean()) < 5 * np.sqrt(128 / SIZE)
    assert np.mean(spread**2) == pytest.approx(128, rel=5 * np.sqrt(2 / SIZE))
