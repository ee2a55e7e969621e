"""Sums of squares of directions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax

PARAMS = {"b": jnp.zeros(3), "h": jnp.zeros((2, 3), jnp.bfloat16), "w": jnp.zeros((4, 3))}
C = jnp.array([0.5, -1.5, 2.0])
SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "rademacher": zojax.rademacher(),
    "rank 2": zojax.factored(2),
    "anisotropic": zojax.anisotropic(0.3, rate=0.1),
    "blocks": zojax.blocks(zojax.gaussian(), {"b": 0, "h": 1, "w": 0}),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("count", [1, 3])
def test_is_the_sum_of_the_squares_of_dense_directions(name, count, key):
    sampler = SAMPLERS[name]

    @jax.jit
    def both():
        directions = sampler.draw(sampler.init(PARAMS), key, jnp.int32(0), count, PARAMS)[0]
        z = jax.vmap(lambda direction: zojax.materialize(direction, PARAMS))(directions)
        return zojax.combine_squares(C[:count], directions, PARAMS), z

    squares, z = both()
    for name, leaf in PARAMS.items():
        expected = np.tensordot(np.float64(C[:count]), np.float64(z[name]) ** 2, 1)
        assert squares[name].dtype == leaf.dtype
        tolerance = 1e-2 if leaf.dtype == jnp.bfloat16 else 1e-5
        np.testing.assert_allclose(np.float64(squares[name]), expected, rtol=tolerance, atol=1e-6)


def test_second_differences_of_signs_give_the_trace_and_nothing_of_the_diagonal(x64):
    """z² is 1 for signs: by enumeration Σ zᵀHz z² / 2^d is trace(H) in every entry."""
    hessian = np.array([[2.0, 0.3, 0.1], [0.3, -1.0, 0.4], [0.1, 0.4, 0.5]])
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
    directions = (zojax.recipes.Precomputed(jnp.asarray(signs)),)
    curvatures = jnp.asarray(np.einsum("ki,ij,kj->k", signs, hessian, signs)) / len(signs)
    found = zojax.combine_squares(curvatures, directions, jnp.zeros(3))
    np.testing.assert_allclose(found, np.full(3, np.trace(hessian)), rtol=1e-12)
