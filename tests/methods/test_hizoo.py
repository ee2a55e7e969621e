"""HiZOO is the algorithm of its code, but for the order of steps 4 and 5, and learns curvatures."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from tests.methods import taped
from tests.reference.hizoo import hizoo as reference
from zojax.noise import RADEMACHER


@pytest.mark.parametrize(
    ("num_queries", "weight_decay", "factored"), [(1, 0.0, False), (3, 0.2, False), (2, 0.2, True)]
)
def test_eight_steps_equal_the_loop(num_queries, weight_decay, factored, key):
    """Fed the same u, which are the directions of `gaussian` with the same key."""
    options = {"learning_rate": 0.05, "radius": 1e-2, "weight_decay": weight_decay}
    options |= {"curvature_rate": 0.3, "factored": factored}
    tx = zojax.hizoo(key=key, num_queries=num_queries, **options)
    look = lambda directions, kept, step: taped.dense(directions)  # noqa: E731
    got = taped.run(tx, zojax.gaussian(), key, look, num_queries=num_queries)
    expected, h = reference(
        lambda x: taped.network(x, np), taped.START, map(taped.queries, got.tape), **options
    )
    taped.assert_close(got.x, expected)
    curvature = optax.tree.get(got.state, "curvature", filtering=_is_sampler)
    taped.assert_close({name: _whole(kept) for name, kept in curvature.items()}, h)
    assert max(np.abs(np.log(value)).max() for value in h.values()) > 0.5
    assert optax.tree.get(got.state, "num_evaluations") == 8 * (2 * num_queries + 1)


def _whole(kept):
    """Every entry of a curvature of which maybe the means are kept."""
    if not isinstance(kept, tuple):
        return np.asarray(kept)
    rows, columns = map(np.asarray, kept)
    return np.outer(rows, columns) / np.mean(rows)


def _is_sampler(path, _):
    return any(getattr(entry, "tuple_name", None) == "DiagonalState" for entry in path)


def stepper(tx):
    @jax.jit
    def step(x, state, shift=0.0):
        def loss(x):
            return sum(jnp.sum(jnp.sin(leaf) + leaf**2) for leaf in jax.tree.leaves(x)) + shift

        updates, state = tx.update(None, state, x, value_fn=loss)
        return optax.apply_updates(x, updates), state

    return step


def test_without_a_rate_it_is_mezo(key):
    """To the rounding of a product with 1."""
    x = {"b": jnp.linspace(-1.0, 1.0, 3), "w": jnp.ones((4, 3))}
    ends = []
    for method in (zojax.mezo, functools.partial(zojax.hizoo, curvature_rate=0.0)):
        tx = method(0.05, key, radius=0.25, num_queries=2)
        step, visited, state = stepper(tx), x, tx.init(x)
        for _ in range(3):
            visited, state = step(visited, state)
        ends.append(visited)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *ends)


def test_a_step_without_a_finite_loss_changes_neither_params_nor_curvatures(key):
    x = {"b": jnp.linspace(-1.0, 1.0, 3), "w": jnp.ones((4, 3))}
    tx = zojax.hizoo(0.05, key, radius=0.25, curvature_rate=0.5, weight_decay=0.1)
    step = stepper(tx)
    x, state = step(x, tx.init(x), 0.0)
    same, after = step(x, state, jnp.nan)
    kept = (x, state[0].sampler)
    jax.tree.map(np.testing.assert_array_equal, (same, after[0].sampler), kept)
    assert after[0].num_nonfinite == 1


def test_on_a_quadratic_the_mean_of_the_curvature_s_change_is_0_at_its_fixed_point(key):
    """At h_i = c_i (d + 2)/2: Σ κ h u²/2 is h, and twice that at h = c (d + 2)/4.

    The mean over 4000 queries. κ = Σ_j c_j u_j²/h_j = 2/(d + 2) Σ u², so κ u_i²/2 has the mean 1
    and, with the sixth and eighth moments of normal numbers, a variance of 189/25 - 1 for d = 3.
    """
    c, count = np.float32([0.5, 2.0, 8.0]), 4000
    x, rate = jnp.zeros(3), 0.5
    sampler = zojax.diagonal(rate, bits=32)
    estimator = zojax.central_with_curvature(0.5, count)
    tx = zojax.estimate_gradient(key, sampler, estimator)

    @jax.jit
    def change(h):
        state = tx.init(x)
        state = state._replace(sampler=state.sampler._replace(curvature=h))
        loss = lambda x: jnp.sum(c * x**2) / 2  # noqa: E731
        _, state = tx.update(None, state, x, value_fn=loss)
        return (state.sampler.curvature - h) / h / rate

    error = 5 * np.sqrt((189 / 25 - 1) / count)
    np.testing.assert_allclose(change(jnp.asarray(c * 2.5)), 0.0, atol=error)
    np.testing.assert_allclose(change(jnp.asarray(c * 1.25)), 1.0, atol=2 * error)


def test_a_number_added_to_the_loss_changes_nothing(key):
    x = jnp.linspace(-1.0, 1.0, 4)
    tx = zojax.hizoo(0.05, key, radius=0.5, curvature_rate=0.3)
    step = stepper(tx)
    ends = [step(x, tx.init(x), shift) for shift in (0.0, 8.0)]
    plain, shifted = ((x, state[0].sampler) for x, state in ends)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), plain, shifted)


def test_an_estimator_without_curvatures_is_refused(key):
    tx = zojax.estimate_gradient(key, zojax.diagonal(0.1), zojax.central())
    x = jnp.ones(2)
    with pytest.raises(ValueError, match=r"use zojax.central_with_curvature\(radius\)"):
        jax.eval_shape(lambda: tx.update(None, tx.init(x), x, value_fn=jnp.sum))


def test_several_queries_store_and_hold_one_curvature(key):
    """XLA's own account of a step of 16 queries: less than two more copies of params than of 2."""
    x = {"stack": jnp.zeros((4, 64, 64))}

    def deep(x):
        h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), jnp.ones(64), x["stack"])
        return jnp.sum(h)

    def temporaries(num_queries):
        tx = zojax.hizoo(0.1, key, num_queries=num_queries)
        step = jax.jit(lambda x, state: tx.update(None, state, x, value_fn=deep))
        compiled = step.lower(x, tx.init(x)).compile(BUFFERS_AS_USERS_HAVE)
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporaries(16) < temporaries(2) + 2 * x["stack"].nbytes


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_numbers_out_of_range_are_refused(rate, key):
    with pytest.raises(ValueError, match=r"curvature_rate must be a number of at least 0"):
        zojax.hizoo(0.1, key, curvature_rate=rate)


def test_means_of_rows_and_columns_are_all_that_is_stored(key):
    """Of attention's kernels and stacks of matrices too: 4 (m + n) bytes of each matrix."""
    shapes = {"bias": (7,), "query": {"kernel": (32, 4, 8)}, "stack": (3, 16, 24)}
    x = jax.tree.map(jnp.zeros, shapes, is_leaf=lambda shape: isinstance(shape, tuple))
    tx = zojax.hizoo(0.05, key, factored=True)
    curvature = optax.tree.get(tx.init(x), "curvature", filtering=_is_sampler)
    sizes = jax.tree.map(jnp.size, curvature)
    assert sizes == {"bias": 7, "query": {"kernel": (32, 32)}, "stack": (3 * 16, 3 * 24)}


def test_of_rank_one_means_lose_nothing(key):
    """With a direction of signs h u² = h: then HiZOO-L is HiZOO."""
    x = {"b": jnp.linspace(-1.0, 1.0, 3), "w": jnp.ones((4, 3))}
    ends = []
    for views in (None, zojax.samplers.last_two_axes):
        sampler = zojax.diagonal(0.5, views=views)
        to_signs = lambda noise: dataclasses.replace(noise, law=RADEMACHER)  # noqa: E731

        def draw(*args, sampler=sampler, to_signs=to_signs):
            directions, state = sampler.draw(*args)
            return tuple(
                dataclasses.replace(recipe, noise=to_signs(recipe.noise)) for recipe in directions
            ), state

        estimator = zojax.central_with_curvature(0.25, 1)
        signs = sampler._replace(draw=draw, one_by_one=None)
        tx = zojax.chain(zojax.estimate_gradient(key, signs, estimator), optax.scale(-0.05))
        step, visited, state = stepper(tx), x, tx.init(x)
        for _ in range(3):
            visited, state = step(visited, state)
        ends.append(visited)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *ends)
