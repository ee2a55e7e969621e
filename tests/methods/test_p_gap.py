"""P-GAP is the algorithm of its paper: bases of an estimate, and cores aligned with it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from eight_steps import START, STEPS, assert_ends_agree, in_numpy, logistic

import zojax
from tests.reference import p_gap as reference
from zojax.noise import keys
from zojax.samplers.factored._matrices import Kinds, matrices
from zojax.samplers.factored._parts import draw_part
from zojax.samplers.factored._probed import _aligned, _singular

PERIOD, PROBES, DELTA = 5, 3, 2.0
KINDS = Kinds("haar", "gaussian", "haar", 8)


def drawn(key, step, x):
    """C₀ and ξ of the matrix, z of the vector, and the dense directions of the probes."""
    step = jnp.int32(step)
    own, *_ = keys.query_keys(key, step, 1 + PROBES)
    seen = matrices(x, zojax.kernels_as_matrices, KINDS, 2, 1.0)
    (core,) = draw_part("core", KINDS, own, x, seen)
    sign = jax.random.rademacher(
        jax.random.split(keys.estimator_key(key, step), 2)[1], (), jnp.float32
    )
    dense = zojax.gaussian().recall(key, step, 1 + PROBES, x)
    z = [
        jax.tree.map(np.float64, zojax.materialize(jax.tree.map(lambda a, k=k: a[k], dense), x))
        for k in range(1 + PROBES)
    ]
    return {"b": z[0]["b"], "w": (np.float64(core), float(sign))}, z[1:]


def test_eight_steps_equal_the_papers_loop(key, x64):
    """Over two refreshes. Ĝ is the loop's, its bases are ours: no loop has them in another way."""
    x = jax.tree.map(jnp.asarray, START)
    arguments = {"radius": 1e-2, "delta": DELTA}
    tx = zojax.p_gap(0.3, key, rank=2, period=PERIOD, probes=PROBES, scale=0.7, **arguments)

    def step(carry, _):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=logistic)
        x = optax.apply_updates(x, updates)
        kept = optax.tree.get(state, "sampler")
        bases = (kept.left[0], kept.core[0], kept.right[0])
        return (x, state), (x, bases, optax.tree.get(state, "num_evaluations"))

    _, (visited, bases, counts) = jax.jit(
        lambda: jax.lax.scan(step, (x, tx.init(x)), length=STEPS)
    )()
    np.testing.assert_array_equal(np.diff(counts, prepend=0), [8, 2, 2, 2, 2, 8, 2, 2])
    found = [{"w": tuple(np.float64(part[step]) for part in bases)} for step in range(STEPS)]
    noise, probes = zip(*(drawn(key, step, x) for step in range(STEPS)), strict=True)
    expected = reference.p_gap(
        in_numpy, START, found, noise, learning_rate=0.3, scale=0.7, **arguments
    )
    assert_ends_agree(visited, expected)
    for at, params in (
        (0, START),
        (PERIOD, {n: np.asarray(a[PERIOD - 1]) for n, a in visited.items()}),
    ):
        rough = reference.rough_gradient(in_numpy, params, probes[at], 1e-2)["w"]
        u, s, v = found[at]["w"]
        # Of two columns both are there: U S Vᵀ is Ĝ.
        np.testing.assert_allclose(u @ s @ v.T, rough, rtol=1e-5, atol=1e-6)


def test_bases_are_those_of_the_largest_singular_values(key):
    """Of a matrix whose singular values are far apart: as an SVD has them, but for rotations."""
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(2, 6, 5)))
    right, _ = np.linalg.qr(rng.normal(size=(2, 7, 5)))
    g = left @ np.diag([100.0, 30.0, 1e-2, 1e-3, 1e-4]) @ right.swapaxes(-1, -2)
    starts = [np.linalg.qr(rng.normal(size=(2, n, 2)))[0] for n in (6, 7)]
    u, s, v = jax.jit(_singular)(*(jnp.asarray(a, jnp.float32) for a in (g, *starts)))
    best = left[..., :2] @ np.diag([100.0, 30.0]) @ right[..., :2].swapaxes(-1, -2)
    np.testing.assert_allclose(u @ s @ v.mT, best, atol=2e-2)
    np.testing.assert_allclose(u.mT @ u, np.broadcast_to(np.eye(2), (2, 2, 2)), atol=1e-5)
    np.testing.assert_allclose(v.mT @ v, np.broadcast_to(np.eye(2), (2, 2, 2)), atol=1e-5)
    zero = _singular(jnp.zeros((2, 6, 7)), *(jnp.asarray(a, jnp.float32) for a in starts))
    np.testing.assert_allclose(zero[0], starts[0], atol=1e-5)
    assert not np.any(zero[1])


@pytest.mark.parametrize("delta", [1.0, 4.0, 0.0])
def test_cores_have_the_covariance_that_is_stated(delta, key):
    """I + (δ - 1) ŝ ŝᵀ within 5 standard errors of 20,000 draws (5 √2.2/√20000 ≈ 0.06 at δ ≤ 1)."""
    count = 20_000
    target = jnp.array([[2.0, -1.0], [0.5, 0.0]])
    core = jax.random.normal(key, (count, 2, 2))
    sign = jax.random.rademacher(jax.random.fold_in(key, 1), (count, 1, 1), jnp.float32)
    c = np.asarray(_aligned(core, target, sign * jnp.sqrt(delta))).reshape(count, 4)
    unit = np.ravel(target) / np.linalg.norm(target)
    np.testing.assert_allclose(np.abs(c @ unit), np.sqrt(delta), atol=1e-5)
    expected = np.eye(4) + (delta - 1) * np.outer(unit, unit)
    np.testing.assert_allclose(c.T @ c / count, expected, atol=0.07)


def test_a_probe_without_a_finite_loss_withholds_the_step_and_keeps_the_bases(key):
    """At first there are none, and the next step looks for them."""
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.p_gap(0.1, key, rank=2, period=2, probes=2, weight_decay=0.1)
    step = jax.jit(
        lambda state, bad: tx.update(None, state, x, value_fn=lambda x: logistic(x) + bad)
    )
    spent, states = [], [tx.init(x)]
    for bad in (jnp.nan, 0.0, jnp.nan, 0.0):
        updates, state = step(states[-1], bad)
        assert all(np.any(leaf) == (bad == 0.0) for leaf in jax.tree.leaves(updates))
        states.append(state)
        spent.append(int(optax.tree.get(state, "num_evaluations")))
    assert np.diff(spent, prepend=0).tolist() == [6, 6, 6, 2]
    kept = [optax.tree.get(state, "sampler") for state in states]
    assert not kept[1].has_bases
    np.testing.assert_array_equal(kept[2].left[0], kept[3].left[0])
    assert np.any(kept[2].left[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, "rank must be an integer of at least 1, got 0"),
        ({"delta": -1.0}, "delta must be a finite number of at least 0, got -1.0"),
        ({"probes": 0}, "probes must be an integer of at least 1, got 0"),
        ({"accumulate": 2}, "accumulate = 2 does not go with a sampler that asks for losses"),
    ],
)
def test_what_does_not_go_is_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.p_gap(0.1, key, **arguments)
