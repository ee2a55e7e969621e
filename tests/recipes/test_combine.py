"""The update is formed without dense directions, and is the sum that it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax import _thresholds

PARAMS = {
    "bias": jnp.zeros(5, jnp.float32),
    "half": jnp.zeros((3, 40), jnp.bfloat16),
    "number": jnp.zeros((), jnp.float32),
    "stack": jnp.zeros((2, 3, 4), jnp.float32),
}
COEFFICIENTS = jnp.array([0.7, -1.3, 2.9], jnp.float32)
SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "rademacher": zojax.rademacher(),
    "sphere": zojax.sphere(),
    "coordinate": zojax.coordinate(),
    "factored": zojax.factored(2),
    "subspace": zojax.factored(2, left="haar", core="gaussian", right="haar", right_period=4),
}


@pytest.fixture(params=["small leaves together", "one query after another", "written out"])
def _way(request, monkeypatch):
    """How the sums of dense leaves are formed, which is decided by their sizes."""
    if request.param != "small leaves together":
        monkeypatch.setattr(_thresholds, "SMALL_LEAVES_SHARE", 0)
        monkeypatch.setattr(_thresholds, "LEAST_SMALL_LEAVES", 0)
    if request.param == "written out":
        monkeypatch.setattr(_thresholds, "LARGE_LEAF", 0)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("name", SAMPLERS)
def test_combine_is_the_sum_of_the_materialized_directions(name, key):
    """Σ_k c_k z_k for K = 1 and 3, in the leaf's dtype.

    The sum is formed in float32 and cast once, so a bfloat16 leaf (8 significant bits) is off by at
    most half a unit in its last place, 2⁻⁸ of it.
    """
    sampler = SAMPLERS[name]

    @jax.jit
    def run(key):
        directions, _ = sampler.draw(sampler.init(PARAMS), key, jnp.int32(0), 3, PARAMS)
        first = jax.tree.map(lambda array: array[:1], directions)
        dense = jax.vmap(lambda direction: zojax.materialize(direction, PARAMS))(directions)
        one = zojax.combine(COEFFICIENTS[:1], first, PARAMS)
        return dense, one, zojax.combine(COEFFICIENTS, directions, PARAMS)

    dense, *sums = run(key)
    for count, total in zip((1, 3), sums, strict=True):
        for z, leaf, param in zip(*map(jax.tree.leaves, (dense, total, PARAMS)), strict=True):
            assert z.dtype == jnp.float32
            assert leaf.dtype == param.dtype
            expected = np.tensordot(COEFFICIENTS[:count], z[:count], 1)
            rtol = 2**-8 if leaf.dtype == jnp.bfloat16 else 0
            np.testing.assert_allclose(np.asarray(leaf, np.float32), expected, rtol=rtol, atol=2e-5)


def test_wide_params_get_a_wide_sum(x64, key):
    """With float64 leaves nothing is rounded to float32 but z itself."""
    params = jnp.zeros((2, 3), jnp.float64)
    directions, _ = zojax.gaussian().draw((), key, jnp.int32(0), 1, params)
    z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), params)
    total = zojax.combine(jnp.array([1 / 3], jnp.float64), directions, params)
    assert total.dtype == jnp.float64
    np.testing.assert_array_equal(total, np.asarray(z, np.float64) * (1 / 3))


@pytest.mark.parametrize("sampler", [zojax.gaussian(), zojax.rademacher()])
def test_several_queries_are_added_to_a_large_leaf_in_place(sampler, key):
    """By the compiler's account: no buffer of the leaf's size, and of packed signs a part of it."""
    leaf = jax.ShapeDtypeStruct((1 << 12, 1 << 10), jnp.float32)

    def step(params, key):
        directions, _ = sampler.draw((), key, jnp.int32(0), 3, params)
        return params + zojax.combine(COEFFICIENTS, directions, params, read_once=True)

    compiled = jax.jit(step, donate_argnums=0).lower(leaf, key).compile(BUFFERS_AS_USERS_HAVE)
    assert compiled.memory_analysis().temp_size_in_bytes < 0.15 * 4 * leaf.size


def test_sums_of_several_queries_exist_one_after_another(key):
    """By the compiler's account, of six leaves and moments that read their sums twice."""
    leaves = [jax.ShapeDtypeStruct((1 << 11, 1 << 9), jnp.float32)] * 6
    sampler = zojax.gaussian()

    def step(params, first, second, key):
        directions, _ = sampler.draw((), key, jnp.int32(0), 3, params)
        g = zojax.combine(COEFFICIENTS, directions, params)
        first = jax.tree.map(lambda m, g: 0.9 * m + g, first, g)
        second = jax.tree.map(lambda v, g: 0.9 * v + g * g, second, g)
        moved = jax.tree.map(lambda p, m, v: p + m * jax.lax.rsqrt(v), params, first, second)
        return moved, first, second

    donated = jax.jit(step, donate_argnums=(0, 1, 2))
    compiled = donated.lower(leaves, leaves, leaves, key).compile(BUFFERS_AS_USERS_HAVE)
    assert compiled.memory_analysis().temp_size_in_bytes < 2.5 * 4 * leaves[0].size


@pytest.mark.parametrize(
    "sampler", [zojax.gaussian(), zojax.rademacher(), zojax.factored(1)], ids=range(3)
)
def test_a_leaf_without_entries_takes_no_part(sampler):
    params = {"none": jnp.zeros((0, 5)), "some": jnp.ones((3, 4))}
    directions, _ = sampler.draw(sampler.init(params), jax.random.key(0), jnp.int32(0), 2, params)
    total = zojax.combine(jnp.ones(2), directions, params)
    assert total["none"].shape == (0, 5)
    assert jnp.any(total["some"])
