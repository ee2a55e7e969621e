"""Links that see the estimate in the coordinates of the sampler."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

RNG = np.random.default_rng(7)
X = {
    "b": RNG.normal(size=3).astype(np.float32),
    "stack": RNG.normal(size=(2, 4, 3)).astype(np.float32),
}
DECAY = 0.8
PERIOD = 3


def loss(x):
    return sum(jnp.sum(jnp.sin(leaf) + leaf**2) for leaf in jax.tree.leaves(x))


def haar(left_period=PERIOD, **options):
    kinds = {"left": "haar", "core": "gaussian", "right": "identity"} | options
    return zojax.factored(2, left_period=left_period, **kinds)


def estimate(key, sampler, inner=None, num_queries=2):
    return zojax.estimate_gradient(key, sampler, zojax.central(1e-2, num_queries), inner=inner)


def run(tx, steps, params, value_fn=loss):
    """Updates and states of the steps, stacked; params stay where they are."""

    def step(state, index):
        updates, state = tx.update(None, state, params, value_fn=value_fn, index=index)
        return state, (updates, state)

    return jax.lax.scan(step, tx.init(params), jnp.arange(steps))[1]


def test_links_that_do_nothing_change_nothing(key, x64):
    """Over two refreshes, in double precision: two orders of the same sums."""
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), X)

    @jax.jit
    def both():
        return [run(estimate(key, haar(), inner), 7, x)[0] for inner in (None, optax.identity())]

    plain, through = both()
    chex.assert_trees_all_close(through, plain, rtol=1e-12, atol=1e-12)
    assert all(jnp.abs(leaf).max() > 0.1 for leaf in jax.tree.leaves(plain))


def test_momentum_of_cores_is_momentum_of_the_estimates_where_the_basis_stays(key, x64):
    """Moments commute with a fixed linear map. Vectors have no core: the links pass them by."""
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), X)
    sampler = haar(left_period=None)

    @jax.jit
    def both():
        outer = optax.chain(estimate(key, sampler), optax.trace(DECAY))
        return run(estimate(key, sampler, optax.trace(DECAY)), 4, x), run(outer, 4, x)[0]

    (inner, state), outer = both()
    np.testing.assert_allclose(inner["stack"], outer["stack"], rtol=1e-11, atol=1e-12)
    assert state.inner.trace["stack"].dtype == jnp.float64
    assert state.inner.trace["b"] == optax.MaskedNode()
    # Where the outer link has its momentum, the inner one has none.
    np.testing.assert_array_equal(inner["b"][0], outer["b"][0])
    np.testing.assert_allclose(inner["b"][1], outer["b"][1] - DECAY * outer["b"][0], atol=1e-12)


# Its state is what it saw last.
RECORD = optax.GradientTransformation(lambda params: params, lambda u, state, params=None: (u, u))


@pytest.mark.parametrize(
    ("left", "at_refresh"), [("haar", "reset"), ("haar", "project"), ("gaussian", "project")]
)
def test_state_is_as_at_refresh_says(left, at_refresh, key):
    """m ← T (decay m) + core, T being 1 but at steps 3 and 6: there 0, or the map to the new basis.

    Float32 sums of a few numbers of size 10.
    """
    sampler = haar(left=left, at_refresh=at_refresh)
    tx = estimate(key, sampler, optax.chain(RECORD, optax.trace(DECAY)))
    states = jax.jit(lambda: run(tx, 2 * PERIOD + 1, X)[1])()
    core, momentum = states.inner[0]["stack"], states.inner[1].trace["stack"]
    basis = np.asarray(states.sampler["left"][0], np.float64)
    expected = 0.0
    for step in range(2 * PERIOD + 1):
        if step in (PERIOD, 2 * PERIOD):
            assert np.abs(basis[step] - basis[step - 1]).max() > 0.1
            change = np.linalg.pinv(basis[step]) @ basis[step - 1]
            expected = change @ expected if at_refresh == "project" else 0.0
        expected = DECAY * expected + np.asarray(core[step], np.float64)
        np.testing.assert_allclose(momentum[step], expected, rtol=1e-4, atol=1e-4)


def test_adam_of_cores_stores_cores_and_nothing_of_the_size_of_params(key):
    """And lifts what it makes of them: the update is in the column space of the basis."""
    wide = {"w": jnp.ones((40, 30))}
    tx = estimate(key, haar(), optax.scale_by_adam())
    updates, states = jax.jit(lambda: run(tx, 2, wide))()
    assert max(leaf.size / 2 for leaf in jax.tree.leaves(states)) == 2 * 40
    assert states.inner.mu["w"].shape == (2, 2, 30)
    basis = states.sampler["left"][0][1]
    update = updates["w"][1]
    np.testing.assert_allclose(basis @ (basis.T @ update), update, atol=1e-5)
    assert jnp.abs(update).max() > 0.1


def test_params_without_any_matrix_have_no_core(key):
    x = {"b": jnp.ones(3)}

    @jax.jit
    def both():
        pair = (None, optax.chain(optax.trace(0.9), optax.identity()))
        return [run(estimate(key, haar(), inner), 2, x)[0] for inner in pair]

    chex.assert_trees_all_close(*both(), rtol=1e-6)


def test_a_step_without_an_estimate_leaves_the_links_as_they_were(key):
    """No update, no momentum, no count: as if the step had not been."""
    inner = optax.chain(optax.trace(DECAY), optax.scale_by_schedule(lambda count: 1.0 + count))
    tx = estimate(key, haar(left_period=None), inner)

    def spoiled(x, index):
        return loss(x) + jnp.where(index == 1, jnp.nan, 0.0)

    updates, states = jax.jit(lambda: run(tx, 3, X, spoiled))()
    for leaf in jax.tree.leaves(updates):
        assert not leaf[1].any()
        assert leaf[0].any()
        assert leaf[2].any()
    before, after, next_one = (jax.tree.map(lambda s, i=i: s[i], states.inner) for i in range(3))
    chex.assert_trees_all_equal(before, after)
    assert next_one[1].count == 2


def test_a_basis_that_moves_in_such_a_step_takes_the_links_along(key):
    """A refresh is one, whether or not its step is taken: momentum of the old basis is gone."""
    tx = estimate(key, haar(), optax.trace(DECAY))

    def spoiled(x, index):
        return loss(x) + jnp.where(index == PERIOD, jnp.nan, 0.0)

    updates, states = jax.jit(lambda: run(tx, PERIOD + 1, X, spoiled))()
    assert states.inner.trace["stack"][PERIOD - 1].any()
    assert not states.inner.trace["stack"][PERIOD].any()
    assert not updates["stack"][PERIOD].any()


def test_links_need_coordinates_that_last(key):
    inner = optax.trace(0.9)
    for sampler in (zojax.gaussian(), zojax.factored(2), zojax.factored(2, core="gaussian")):
        with pytest.raises(ValueError, match="inner needs a sampler whose directions have coord"):
            estimate(key, sampler, inner)
    remembering = zojax.averaged_baseline(1e-3, num_queries=3, history=2)
    with pytest.raises(ValueError, match=r"does not go with .* a history of 2 steps"):
        zojax.estimate_gradient(key, haar(), remembering, inner=inner)


@pytest.mark.parametrize(
    ("estimator", "inner", "other"),
    [
        (zojax.central(), optax.identity(), "inner"),
        (zojax.averaged_baseline(0.1, 2, 3), None, "a history of 3 steps"),
    ],
)
def test_links_for_each_query_go_alone(estimator, inner, other, key):
    with pytest.raises(ValueError, match=f"per_query does not go with {other}"):
        zojax.estimate_gradient(
            key,
            haar() if inner else zojax.gaussian(),
            estimator,
            inner=inner,
            per_query=optax.identity(),
        )
