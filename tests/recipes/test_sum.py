"""A sum of recipes is drawn, cut and added up like a recipe."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_parts_of_leaves import LENGTHS, VIEWS, parts

import zojax
from zojax.noise import RADEMACHER, gaussian_law

GAUSSIAN = gaussian_law(8)


def recipe(key, view, law=GAUSSIAN):
    """Dense noise and factors of rank 2."""
    left = [n for axis, n in enumerate(LENGTHS) if axis not in view.columns]
    right = [n for axis, n in enumerate(LENGTHS) if axis not in view.rows]
    keys = jax.random.split(key, 3)
    factors = zojax.LowRank.of(
        view, jax.random.normal(keys[0], (*left, 2)), jax.random.normal(keys[1], (*right, 2))
    )
    return zojax.Sum((zojax.Dense.of(LENGTHS, keys[2], law), factors))


@pytest.mark.parametrize("view", VIEWS)
def test_parts_equal_the_same_part_of_the_whole(view, key):
    """Up to the rounding of the factors' products, and of the sum."""
    z = recipe(key, VIEWS[view])

    @jax.jit
    def run(z):
        whole = z.draw(LENGTHS)
        terms = sum(part.draw(LENGTHS) for part in z.parts)
        return {"sum": (whole, terms), **{what: pair for what, *pair in parts(z, whole)}}

    compared = run(z)
    assert len(compared) >= 18
    for what, (part, whole) in compared.items():
        np.testing.assert_allclose(part, whole, rtol=0, atol=2e-6, err_msg=what)


def test_what_one_part_cannot_cut_the_sum_cannot(key):
    z = recipe(key, VIEWS["batch"])
    assert z.grains == (8, 8, 1)
    assert z.slice(2, 0, 3, step=2) is None
    assert z.draw_taken(2, jnp.array([0]), LENGTHS, jnp.zeros(())) is None
    assert z.transpose((2, 0, 1)).unstack(6) is None


@pytest.mark.parametrize("law", [GAUSSIAN, RADEMACHER], ids=["gaussian", "signs"])
def test_combine_is_the_sum_of_the_directions(law, key):
    """Σ_k c_k z_k for K = 1 and 3; their bits held one after another."""
    params = {"first": jnp.zeros(LENGTHS), "second": jnp.zeros(LENGTHS)}
    coefficients = jnp.array([0.7, -1.3, 2.9])
    assert recipe(key, VIEWS["in"], law).held_bits(LENGTHS) == law.bits

    @jax.jit
    def run():
        keys = jax.random.split(key, (3, 2))
        directions = jax.vmap(
            lambda k: (recipe(k[0], VIEWS["in"], law), recipe(k[1], VIEWS["out"], law))
        )(keys)
        z = jax.vmap(lambda direction: zojax.materialize(direction, params))(directions)
        first = jax.tree.map(lambda array: array[:1], directions)
        return (
            z,
            zojax.combine(coefficients[:1], first, params),
            zojax.combine(coefficients, directions, params),
        )

    z, *sums = run()
    for count, total in zip((1, 3), sums, strict=True):
        for name in params:
            expected = np.tensordot(coefficients[:count], z[name][:count], 1)
            np.testing.assert_allclose(total[name], expected, atol=2e-5)
