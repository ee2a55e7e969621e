"""The estimating link: what it counts, what it hands on, and what it does with a bad loss."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

X = {"b": jnp.array([1.0, 2.0]), "w": jnp.ones((2, 3))}


def square(x):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(x))


def link(key, estimator=None, **options):
    estimator = zojax.central() if estimator is None else estimator
    return zojax.estimate_gradient(key, zojax.rademacher(), estimator, **options)


def update(tx, value_fn=square, params=X, **kwargs):
    return tx.update(None, tx.init(params), params, value_fn=value_fn, **kwargs)


@pytest.mark.parametrize(
    ("make", "evaluations"), [(zojax.central, 6), (zojax.forward, 4)], ids=["2 K", "K + 1"]
)
@pytest.mark.parametrize("chunk_size", [1, 2])
def test_the_loss_is_evaluated_as_often_as_stated(make, evaluations, chunk_size, key):
    """K = 3; a callback sees every evaluated loss, and their mean is the state's value."""
    seen = []

    def loss(x):
        value = square(x)
        jax.debug.callback(lambda value: seen.append(float(value)), value)
        return value

    tx = link(key, make(1e-2, 3), chunk_size=chunk_size)
    _, state = jax.jit(lambda: update(tx, loss))()
    jax.effects_barrier()
    assert len(seen) == evaluations == state.num_evaluations
    np.testing.assert_allclose(state.value, np.mean(seen), rtol=1e-6)


def test_the_state_counts_and_keeps_its_key(key):
    tx = link(key, zojax.central(1e-2, 3))
    step = jax.jit(lambda state: tx.update(None, state, X, value_fn=square)[1])
    state = step(step(tx.init(X)))
    assert (state.count, state.num_evaluations, state.num_nonfinite) == (2, 12, 0)
    assert state.coefficients.shape == (3,)
    assert state.key == key


def test_every_step_looks_elsewhere(key):
    tx = link(key)
    step = jax.jit(lambda state: tx.update(None, state, X, value_fn=square))
    first, state = step(tx.init(X))
    second, _ = step(state)
    assert not np.array_equal(np.sign(first["w"]), np.sign(second["w"]))


def test_incoming_updates_are_ignored(key):
    tx = link(key)
    noise = jax.tree.map(lambda leaf: leaf + jnp.nan, X)
    step = jax.jit(lambda updates: tx.update(updates, tx.init(X), X, value_fn=square)[0])
    chex.assert_trees_all_equal(step(None), step(noise))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_loss_that_is_not_finite_makes_the_estimate_zero(bad, key):
    """The second query's losses are bad; the step is counted, and the next one is as ever."""

    def loss(x, spoil):
        return square(x) + jnp.where(spoil & (x["b"][0] > 1), bad, 0.0)

    tx = link(key, zojax.central(1e-2, 2))
    step = jax.jit(lambda state, spoil: tx.update(None, state, X, value_fn=loss, spoil=spoil))
    zero, state = step(tx.init(X), True)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(zero))
    assert not state.coefficients.any()
    assert (state.count, state.num_nonfinite, state.num_evaluations) == (1, 1, 4)
    updates, state = step(state, False)
    assert all((leaf != 0).all() for leaf in jax.tree.leaves(updates))
    assert (state.count, state.num_nonfinite) == (2, 1)


def test_arguments_reach_value_fn_by_name(key):
    """Positional or keyword-only, with defaults; what it does not name is for other links."""

    def loss(x, scale, *, shift=5.0, batch):
        return scale * square(x) + shift + batch

    _, state = jax.jit(lambda: update(link(key), loss, batch=7.0, scale=0.0, other=object()))()
    assert state.value == 12


def test_a_value_fn_with_open_keywords_gets_all_arguments(key):
    seen = {}

    def loss(x, **kwargs):
        seen.update(kwargs)
        return square(x)

    jax.eval_shape(lambda: update(link(key), loss, batch=1, other="two"))
    assert seen == {"batch": 1, "other": "two"}


@pytest.mark.parametrize(
    "wrap", [jax.jit, lambda loss: functools.partial(loss, shift=1.0)], ids=["jit", "partial"]
)
def test_a_wrapped_value_fn_gets_its_arguments_too(wrap, key):
    def loss(x, batch, shift=1.0):
        return 0 * square(x) + batch + shift

    _, state = jax.jit(lambda: update(link(key), wrap(loss), batch=3.0))()
    assert state.value == 4


@pytest.mark.parametrize("make", [zojax.central, zojax.forward])
def test_aux_is_dropped(make, key):
    """has_aux changes what value_fn returns, and nothing else."""

    def with_aux(x):
        return square(x), {"x": x["b"]}

    @jax.jit
    def run():
        tx = link(key, make(), has_aux=True)
        return update(link(key, make())), update(tx, with_aux)

    plain, dropped = run()
    chex.assert_trees_all_close(plain[0], dropped[0], rtol=1e-6)
    assert plain[1].num_evaluations == dropped[1].num_evaluations


def test_chunks_do_not_change_the_estimate(key):
    """Side by side or one after another; vectorized sums may round differently."""

    @jax.jit
    def run():
        links = [link(key, zojax.central(0.1, 3), chunk_size=size) for size in (1, 2)]
        return [update(tx)[0] for tx in links]

    one, two = run()
    chex.assert_trees_all_close(one, two, rtol=1e-4)


def test_a_chain_of_later_links_sees_the_estimate_as_a_gradient(key):
    """Momentum of the chain is momentum of the estimates."""
    chain = optax.chain(link(key), optax.trace(0.5))
    alone = link(key)

    @jax.jit
    def run():
        first, state = update(alone)
        second, _ = alone.update(None, state, X, value_fn=square)
        chained, state = update(chain)
        chained, _ = chain.update(None, state, X, value_fn=square)
        return jax.tree.map(lambda a, b: 0.5 * a + b, first, second), chained

    expected, chained = run()
    chex.assert_trees_all_close(chained, expected, rtol=1e-5)
