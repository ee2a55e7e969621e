"""The factored sampler: its constants, its bases, and when they are drawn anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax

M, N, R = 3, 4, 2
PARAMS = {"w": jnp.zeros((M, N))}
COUNT = 20_000
SUBZERO = {"left": "haar", "core": "gaussian", "right": "haar"}
ZO_MUON = {"left": "haar", "core": "gaussian", "right": "identity"}
# What each published kind has for c in E[z zᵀ] = c I when it is not scaled.
KINDS = {
    "EGGROLL": ({}, R),
    "LOZO": ({"right_period": 50}, R),
    "TeZO": ({"core": "diagonal"}, R),
    "SubZero": (SUBZERO, R**2 / (M * N)),
    "ZO-Muon": (ZO_MUON, R / M),
    "ZO-Muon on columns": ({"left": "identity", "core": "gaussian", "right": "haar"}, R / N),
}


def drawn(sampler, key, step, num_queries, params):
    """The dense trees of all queries of a step, stacked, and the sampler's state."""
    directions, state = sampler.draw(sampler.init(params), key, step, num_queries, params)
    return jax.vmap(lambda direction: zojax.materialize(direction, params))(directions), state


draw = jax.jit(drawn, static_argnums=(0, 3))


def excess(vectors, covariance):
    """How far E[z zᵀ] is from what it should be, in standard errors of its mean.

    That of the mean of z_i z_j is at most sqrt(E[z_i² z_j²] / count).
    """
    products = vectors[:, :, None] * vectors[:, None, :]
    error = np.sqrt((products**2).mean(0) / len(vectors)) + 1e-9
    return np.abs((products.mean(0) - covariance) / error).max()


@pytest.mark.parametrize("name", KINDS)
def test_covariance_states_the_constant_of_the_kind(name):
    kinds, c = KINDS[name]
    assert zojax.factored(R, **kinds, scale=1.0).covariance(PARAMS)["w"] == pytest.approx(c)
    assert zojax.factored(R, **kinds, scale=0.5).covariance(PARAMS)["w"] == pytest.approx(c / 4)
    assert zojax.factored(R, **kinds).covariance(PARAMS)["w"] == 1


@pytest.mark.parametrize("name", KINDS)
def test_covariance_is_c_times_the_identity(name):
    """Averaged over all parts: a kept part is drawn for every query here. 5 standard errors."""
    kinds, c = KINDS[name]
    sampler = zojax.factored(R, **{**kinds, "right_period": 0}, scale=1.0)
    z = draw(sampler, jax.random.key(3), 0, COUNT, PARAMS)[0]["w"]
    flat = np.asarray(z, np.float64).reshape(COUNT, -1)
    assert excess(flat, c * np.eye(M * N)) < 5


def test_covariance_within_a_period_is_the_projector(key):
    """While L and R are kept, E[z zᵀ] = scale² (L Lᵀ ⊗ R Rᵀ): a multiple of a projector."""
    sampler = zojax.factored(R, **SUBZERO, left_period=9, right_period=9)
    z, state = draw(sampler, key, 0, COUNT, PARAMS)
    left, right = (np.asarray(state[side][0], np.float64) for side in ("left", "right"))
    projector = np.kron(left @ left.T, right @ right.T)
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-6)
    flat = np.asarray(z["w"], np.float64).reshape(COUNT, -1)
    assert excess(flat, M * N / R**2 * projector) < 5


@pytest.mark.parametrize(
    ("kinds", "scale"),
    [({}, R**-0.5), (SUBZERO, np.sqrt(M * N) / R), (ZO_MUON, np.sqrt(M / R))],
    ids=["EGGROLL", "SubZero", "ZO-Muon"],
)
def test_the_published_unbiased_scale_makes_c_one(kinds, scale):
    sampler = zojax.factored(R, **kinds, scale=float(scale))
    assert sampler.covariance(PARAMS)["w"] == pytest.approx(1)


def test_haar_bases_are_orthonormal_and_uniform(key):
    """LᵀL = I to rounding; mean 0 and covariance I/m of every column within 5 standard errors.

    A QR factorization without care for signs has diagonal entries of one sign, and so another mean.
    """
    sampler = zojax.factored(R, **ZO_MUON, left_period=1)
    bases = jax.jit(
        jax.vmap(
            lambda step: sampler.draw(sampler.init(PARAMS), key, step, 1, PARAMS)[1]["left"][0]
        )
    )(jnp.arange(COUNT))
    bases = np.asarray(bases, np.float64)
    gram = bases.swapaxes(1, 2) @ bases
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(R), gram.shape), atol=2e-6)
    assert np.abs(bases.mean(0)).max() <= 5 * np.sqrt(1 / M / COUNT)
    for column in range(R):
        assert excess(bases[:, :, column], np.eye(M) / M) < 5


def test_every_direction_has_at_most_the_rank(key):
    params = {"w": jnp.zeros((5, 7)), "stack": jnp.zeros((2, 4, 6))}
    z, _ = draw(zojax.factored(2, core="gaussian"), key, 0, 2, params)
    assert (np.linalg.matrix_rank(z["w"], tol=1e-4) == 2).all()
    assert (np.linalg.matrix_rank(z["stack"], tol=1e-4) == 2).all()
    assert np.abs(z["stack"][:, 0] - z["stack"][:, 1]).min() > 0


def steps_of(sampler, key, count):
    """(directions, states) of steps 0...count-1 as a run meets them, K = 2."""

    def step(state, index):
        directions, state = sampler.draw(state, key, index, 2, PARAMS)
        return state, (directions[0], state)

    return jax.lax.scan(step, sampler.init(PARAMS), jnp.arange(count))[1]


def test_a_kept_part_is_drawn_anew_exactly_where_a_period_begins(key):
    """R with period 3, L one for the run; both shared by the queries of a step."""
    sampler = zojax.factored(R, core="gaussian", left_period=None, right_period=3, bits=32)
    factors, states = jax.jit(lambda: steps_of(sampler, key, 8))()
    right, left = np.asarray(states["right"][0]), np.asarray(states["left"][0])
    changed = [bool((right[t] != right[t - 1]).all()) for t in range(1, 8)]
    kept = [bool((right[t] == right[t - 1]).all()) for t in range(1, 8)]
    assert changed == [False, False, True, False, False, True, False]
    assert kept == [not change for change in changed]
    assert (left == left[0]).all()
    assert np.abs(left[0]).min() > 0
    # What is measured and applied in a step, the first of a period too, is made of the kept R.
    np.testing.assert_array_equal(factors.right, np.broadcast_to(right[:, None], (8, 2, N, R)))
    assert (factors.left[1:] != factors.left[:-1]).all()
    assert (factors.left[:, 0] != factors.left[:, 1]).all()


def test_a_part_without_period_is_drawn_for_every_query_and_not_stored(key):
    sampler = zojax.factored(R, bits=32)
    assert sampler.init(PARAMS) == {}
    factors, _ = jax.jit(lambda: steps_of(sampler, key, 3))()
    for part in (factors.left, factors.right):
        rows = np.asarray(part).reshape(-1, R)
        assert len(np.unique(rows, axis=0)) == len(rows)


def test_the_state_is_the_kept_parts_alone():
    """(m + n) r numbers a matrix, nothing for other leaves, nothing of the size of params."""
    params = {"b": jnp.zeros(9), "w": jnp.zeros((5, 7)), "stack": jnp.zeros((2, 4, 6))}
    sampler = zojax.factored(3, **SUBZERO, left_period=2, right_period=2)
    shapes = jax.tree.map(jnp.shape, sampler.init(params), is_leaf=lambda x: hasattr(x, "shape"))
    assert shapes == {"left": [(2, 4, 3), (5, 3)], "right": [(2, 6, 3), (7, 3)]}


def test_a_narrow_matrix_gets_the_rank_that_fits(key):
    """Rank 4 on a (2, 6) matrix is rank 2, and c is still 1."""
    params = {"narrow": jnp.zeros((2, 6)), "wide": jnp.zeros((5, 6))}
    sampler = zojax.factored(4, left="haar", core="gaussian", right_period=2)
    assert [part.shape for part in sampler.init(params)["right"]] == [(6, 2), (6, 4)]
    assert sampler.covariance(params) == {"narrow": 1.0, "wide": 1.0}
    c = zojax.factored(4, scale=1.0).covariance(params)
    assert c == {"narrow": pytest.approx(2), "wide": pytest.approx(4)}


def test_leaves_that_are_no_matrix_get_the_gaussian_direction(key):
    params = {"b": jnp.zeros(5), "s": jnp.zeros(()), "w": jnp.zeros((3, 4))}
    z, _ = draw(zojax.factored(2), key, 4, 1, params)
    gaussian, _ = draw(zojax.gaussian(), key, 4, 1, params)
    np.testing.assert_array_equal(z["b"], gaussian["b"])
    np.testing.assert_array_equal(z["s"], gaussian["s"])
    assert zojax.factored(2, scale=3.0).covariance(params)["b"] == 1
