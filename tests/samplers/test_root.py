"""The root that bends a direction, and the score of its law, by linear algebra in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax import _thresholds
from zojax.recipes import sum_deflated
from zojax.samplers.anisotropic._root import Root

RHO = 0.3
# Shape of the leaf, its view, and whether all rows are one vector.
CASES = {
    "row blocks": ((3, 4), zojax.MatrixView((0,), (1,)), False),
    "row blocks, turned": ((3, 4), zojax.MatrixView((1,), (0,)), False),
    "whole tensor": ((3, 4), zojax.MatrixView((0,), (1,)), True),
    "whole tensor, turned": ((3, 4), zojax.MatrixView((1,), (0,)), True),
    "heads": ((2, 3, 2), zojax.MatrixView((0,), (1, 2)), False),
    "vector": ((5,), zojax.MatrixView((), (0,)), False),
    "number": ((), zojax.MatrixView((), ()), False),
}


def curvature(shape, view):
    kept = [n for axis, n in enumerate(shape) if axis not in view.rows]
    return jnp.asarray(np.random.default_rng(2).normal(size=kept))


def exact(values, view):
    """A recipe of z = values: a core in factors that are the identity, in float64."""
    rank = math.prod(values.shape[axis] for axis in view.rows)
    lead = [values.shape[axis] for axis in sorted(view.rows)]
    left = jnp.eye(rank).reshape(*lead, rank)
    right = jnp.moveaxis(values, sorted(view.rows), range(-len(view.rows), 0))
    right = right.reshape(*right.shape[: values.ndim - len(view.rows)], rank)
    return zojax.LowRank.of(view, left, right)


def of_vectors(case, a, vectors, budget=1 << 16):
    """(R u, S(R u)) of every flat u in `vectors`, each with the leading axis."""
    shape, view, whole = case
    root = Root(RHO, whole, budget)

    def one(u):
        recipe = root.apply(exact(u.reshape(shape), view), shape, view, a, a)
        if isinstance(recipe, zojax.Sum):
            products = root.products(recipe, shape, view, a)
        else:
            alone = jax.tree.map(lambda array: array[None], recipe)
            products = sum_deflated(jnp.ones(1), alone, shape, a.dtype, a)[1]
        score = root.score(1.0, products, shape, view, a)
        return recipe.draw(shape).reshape(-1), score.reshape(-1)

    return jax.jit(jax.vmap(one))(jnp.asarray(vectors))


def flat_vectors(case, a):
    """The vectors that span what R changes, (blocks, entries of the leaf)."""
    shape, view, whole = case
    count = math.prod(shape[axis] for axis in view.rows)
    tiled = []
    for row in range(count):
        chosen = np.zeros(count)
        chosen[row] = 1
        chosen = chosen.reshape([n if axis in view.rows else 1 for axis, n in enumerate(shape)])
        tiled.append((chosen * np.expand_dims(np.asarray(a), view.rows)).reshape(-1))
    tiled = np.array(tiled)
    return tiled.sum(0, keepdims=True) if whole else tiled


def covariance(case, a):
    """ρ (ρ I + Σ v vᵀ)⁻¹ over the vectors of the case."""
    vectors = flat_vectors(case, a)
    size = vectors.shape[1]
    return RHO * np.linalg.inv(RHO * np.eye(size) + vectors.T @ vectors)


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_positive_definite_root_of_the_covariance(name, x64):
    """R from its basis vectors: symmetric, positive, R R = ρ H⁻¹, so R v = v for v ⊥ a."""
    case = CASES[name]
    a = curvature(*case[:2])
    size = math.prod(case[0])
    root = np.asarray(of_vectors(case, a, np.eye(size))[0])
    np.testing.assert_allclose(root, root.T, atol=1e-12)
    assert np.linalg.eigvalsh(root).min() > 0
    np.testing.assert_allclose(root @ root, covariance(case, a), atol=1e-12)
    vectors = flat_vectors(case, a)
    square = (vectors[0] ** 2).sum()
    gain = np.sqrt(RHO / (RHO + square))  # positive: the official root has -gain
    np.testing.assert_allclose(root @ vectors[0], gain * vectors[0], atol=1e-12)
    across = np.linalg.svd(vectors)[2][len(vectors) :]
    np.testing.assert_allclose(across @ root, across, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_score_is_the_derivative_of_the_density(name, x64):
    """Central differences of log p(z) in a; their error is h² = 1e-10 and rounding over h."""
    case = CASES[name]
    a = curvature(*case[:2])
    u = np.random.default_rng(3).normal(size=(1, math.prod(case[0])))
    z, score = (np.asarray(out)[0] for out in of_vectors(case, a, u))

    def log_density(a):
        matrix = covariance(case, a)
        return -0.5 * np.linalg.slogdet(matrix)[1] - 0.5 * z @ np.linalg.solve(matrix, z)

    h = 1e-5
    for place in range(a.size):
        step = np.zeros(a.size)
        step[place] = h
        step = step.reshape(a.shape)
        slope = (log_density(a + step) - log_density(a - step)) / (2 * h)
        np.testing.assert_allclose(score[place], np.sqrt(RHO) * slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_the_score_has_mean_zero_and_vanishes_without_curvature(name, x64):
    """S is S(0) and a quadratic form in u ~ N(0, I), whose mean is its sum over basis vectors."""
    case = CASES[name]
    a = curvature(*case[:2])
    size = math.prod(case[0])
    scores = np.asarray(of_vectors(case, a, np.vstack([np.zeros(size), np.eye(size)]))[1])
    mean = scores[0] + (scores[1:] - scores[0]).sum(0)
    assert np.abs(scores[0]).max() > 0.01
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    same, none = of_vectors(case, jnp.zeros_like(a), np.eye(size))
    np.testing.assert_array_equal(same, np.eye(size))
    np.testing.assert_array_equal(none, 0)


@pytest.mark.parametrize("name", ["row blocks", "row blocks, turned", "whole tensor", "heads"])
def test_blocks_of_noise_give_what_the_whole_gives(name, x64, monkeypatch):
    """Blocks of 2 of 3 rows, so that the last one overlaps, and of single rows: none is held."""
    case = CASES[name]
    a = curvature(*case[:2])
    u = np.random.default_rng(4).normal(size=(2, math.prod(case[0])))
    whole = of_vectors(case, a, u)
    monkeypatch.setattr(_thresholds, "SUMMED_BLOCK_FACTOR", 0)
    for budget in (8, 1):
        for got, expected in zip(of_vectors(case, a, u, budget), whole, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
