"""The sampler that learns: what it draws, what it keeps, and how its curvature moves."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.estimators import Probe

RHO = 0.3
PARAMS = {
    "b": jnp.zeros(5, jnp.bfloat16),
    "s": jnp.zeros(()),
    "stack": jnp.zeros((2, 3, 4)),
    "w": jnp.zeros((4, 3)),
}
NUM_QUERIES = 3
COEFFICIENTS = np.array([0.7, -1.3, 0.6], np.float32)


def measured(coefficients):
    """What an estimator would have made of losses that do not matter here."""
    coefficients = jnp.asarray(coefficients)
    return zojax.Estimate(coefficients, jnp.zeros_like(coefficients))


def dense(directions, params=PARAMS):
    return jax.vmap(lambda direction: zojax.materialize(direction, params))(directions)


def matrices(value):
    """(batch, m, n) of a leaf in the default view."""
    value = np.asarray(value, np.float64)
    return value.reshape(-1, *value.shape[-2:]) if value.ndim > 1 else value.reshape(1, 1, -1)


@pytest.fixture(scope="module", params=["row_blocks", "whole_tensor"])
def steps(request):
    """Two steps of the sampler: states, white noise and directions."""
    key = jax.random.key(0)
    sampler = zojax.anisotropic(RHO, rate=0.1, structure=request.param)

    @jax.jit
    def run():
        out = []
        state = sampler.init(PARAMS)
        for step in range(2):
            directions, state = sampler.draw(state, key, jnp.int32(step), NUM_QUERIES, PARAMS)
            white, _ = zojax.gaussian().draw((), key, jnp.int32(step), NUM_QUERIES, PARAMS)
            observed = sampler.observe(state, directions, measured(COEFFICIENTS), PARAMS)
            out.append((state.curvature, dense(white), dense(directions), observed.curvature))
            state = observed
        return out

    return request.param, run()


def test_directions_are_the_noise_less_its_part_along_a(steps):
    """z = u - q (a·u) a, per row or for the whole matrix; float32."""
    structure, run = steps
    for curvature, white, z, _ in run:
        for name in PARAMS:
            for query in range(NUM_QUERIES):
                us, zs = matrices(white[name][query]), matrices(z[name][query])
                vectors = np.asarray(curvature[name], np.float64).reshape(len(us), -1)
                for a, u, got in zip(vectors, us, zs, strict=True):
                    v = np.tile(a, (len(u), 1)).reshape(1, -1)
                    v = v if structure == "whole_tensor" else np.kron(np.eye(len(u)), a)
                    d = np.sqrt(RHO + (v[0] ** 2).sum())
                    expected = u.reshape(-1) - v.T @ (v @ u.reshape(-1)) / (d * (d + np.sqrt(RHO)))
                    np.testing.assert_allclose(got.reshape(-1), expected, rtol=1e-5, atol=1e-5)


def test_curvature_moves_by_the_scores_after_the_step(steps):
    """a - rate Σ_k c_k S(z_k) with the score written out; then it is what the next step uses."""
    structure, run = steps
    for curvature, _, z, observed in run:
        for name in PARAMS:
            first = matrices(z[name][0])
            a = np.asarray(curvature[name], np.float64).reshape(len(first), -1)
            moved = np.asarray(observed[name]).reshape(len(first), -1)
            for batch, vector in enumerate(a):
                m = first.shape[1]
                square = (m if structure == "whole_tensor" else 1) * (vector**2).sum()
                total = 0
                for c, one in zip(COEFFICIENTS, z[name], strict=True):
                    matrix = matrices(one)[batch]
                    w = matrix @ vector
                    w = np.full(m, w.sum()) if structure == "whole_tensor" else w
                    score = np.sqrt(RHO) * (m * vector / (RHO + square) - w @ matrix / RHO)
                    total = total + c * score
                np.testing.assert_allclose(moved[batch], vector - 0.1 * total, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_equal(run[1][0], run[0][3])


def test_the_first_curvature_is_normal_and_float32(key):
    """One number a column, the same for no two leaves; 5 standard errors of mean and variance."""
    params = {"b": jnp.zeros(5, jnp.bfloat16), "w": jnp.zeros((2, 1, 9000)), "v": jnp.zeros(9000)}
    sampler = zojax.anisotropic(RHO, rate=0.0, init_scale=0.5)
    a = jax.jit(lambda: sampler.draw(sampler.init(params), key, jnp.int32(0), 1, params)[1])()
    a = a.curvature
    assert {name: leaf.shape for name, leaf in a.items()} == {
        "b": (5,),
        "w": (2, 9000),
        "v": (9000,),
    }
    assert {leaf.dtype for leaf in a.values()} == {jnp.dtype("float32")}
    values = np.concatenate([np.ravel(a["w"]), a["v"]]) / 0.5
    assert len(np.unique(values)) > 0.99 * values.size
    assert abs(values.mean()) < 5 / np.sqrt(values.size)
    assert abs((values**2).mean() - 1) < 5 * np.sqrt(2 / values.size)


def test_without_curvature_it_is_the_gaussian_sampler(key):
    """Bit by bit, and it stays so; c = 1."""
    sampler = zojax.anisotropic(RHO, rate=1.0, init_scale=0.0)

    @jax.jit
    def run():
        directions, state = sampler.draw(sampler.init(PARAMS), key, jnp.int32(0), 2, PARAMS)
        white, _ = zojax.gaussian().draw((), key, jnp.int32(0), 2, PARAMS)
        return (
            dense(directions),
            dense(white),
            sampler.observe(state, directions, measured(jnp.ones(2)), PARAMS),
        )

    z, white, state = run()
    chex.assert_trees_all_equal(z, white)
    assert not any(np.any(a) for a in jax.tree.leaves(state))
    assert sampler.covariance(PARAMS) == dict.fromkeys(PARAMS, 1.0)


def test_a_rate_of_zero_leaves_the_curvature_alone():
    sampler = zojax.anisotropic(RHO, rate=0.0)
    state = object()
    assert sampler.observe(state, None, None, None) is state


def test_the_mean_of_leave_one_out_is_the_preconditioned_gradient(x64):
    """E ĝ = ρ H⁻¹ ∇f on a linear loss, over all pairs of √d ± e_i, which have E[u uᵀ] = I."""
    d, g = 3, np.array([0.4, -1.0, 2.0])
    a = np.array([1.2, -0.5, 0.7])
    h = RHO * np.eye(d) + np.outer(a, a)
    values, vectors = np.linalg.eigh(RHO * np.linalg.inv(h))
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    u = np.sqrt(d) * np.vstack([np.eye(d), -np.eye(d)])
    estimator = zojax.leave_one_out(0.5, 2)
    total = np.zeros(d)
    pairs = list(itertools.product(u, repeat=2))
    for pair in pairs:
        z = np.array(pair) @ root
        probe = Probe(lambda: None, lambda radius, z=z: jnp.asarray(1.0 + radius * z @ g))
        total += np.asarray(estimator.estimate((), probe)[0].coefficients) @ z / len(pairs)
    np.testing.assert_allclose(total, RHO * np.linalg.solve(h, g), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 0.0}, r"rho must be a finite number above 0, got 0.0"),
        ({"rate": -1.0}, r"rate must be a finite number of at least 0, got -1.0"),
        ({"init_scale": -1.0}, r"init_scale must be .* at least 0, got -1.0"),
        ({"structure": "rows"}, r"structure must be one of row_blocks, whole_tensor, got 'rows'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zojax.anisotropic(**{"rho": 0.1, "rate": 1.0, **arguments})
