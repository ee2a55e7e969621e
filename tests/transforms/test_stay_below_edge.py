"""The bound of the learning rate is the edge of mean-square stability."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

H = jnp.array([3.0, 1.0, 0.5, 0.25])  # of a diagonal Hessian: Tr H = 4.75
TRACE = 4.75
START = jnp.array([1.0, -2.0, 0.5, 3.0])


def quadratic(x):
    return jnp.sum(H * x**2) / 2


def updates_of(tx, x=START, count=1, loss=quadratic):
    """The updates of the last of `count` calls at x, and the state after it."""

    @jax.jit
    def run():
        state, updates = tx.init(x), None
        for _ in range(count):
            updates, state = tx.update(None, state, x, value_fn=loss)
        return updates, state

    return run()


def test_the_edge_of_signs_is_where_the_mean_square_stays():
    """All 2⁴ signs: with H = h I, E‖x'‖² = ‖x‖² exactly at η = 2/Tr H, less below, more above."""
    h, x = 1.5, np.float64(START)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))

    def mean_square(rate):
        ends = x - rate * h * (signs @ x)[:, None] * signs
        return (ends**2).sum(1).mean() / (x @ x)

    edge = 2 / (4 * h)
    np.testing.assert_allclose(mean_square(edge), 1.0)
    assert mean_square(0.9 * edge) < 1 < mean_square(1.1 * edge)


@pytest.mark.parametrize(
    ("rate", "options"),
    [
        (2.0, {}),
        (2.0, {"safety": 0.25}),
        (2.0, {"momentum": 0.5}),
        (lambda step: 4.0 / (1 + step), {}),
        (0.1, {}),
    ],
    ids=["beyond", "safety", "momentum", "schedule", "below"],
)
def test_updates_are_as_long_as_the_edge_allows(rate, options, key):
    """On a diagonal quadratic every measurement is Tr H. The third update, by the first two's T."""
    count = 3
    inner = zojax.mezo(rate, key, radius=0.1)
    tx = zojax.stay_below_edge(inner, key, rate, radius=0.5, every=2, **options)
    updates, state = updates_of(tx, count=count)
    plain, _ = updates_of(inner, count=count)
    np.testing.assert_allclose(state.trace, TRACE, rtol=1e-5)
    eta = rate(count - 1) if callable(rate) else rate
    edge = options.get("safety", 1.0) * 2 * (1 - options.get("momentum", 0.0)) / TRACE
    share = min(1.0, edge / eta)
    np.testing.assert_allclose(state.edge_share, share, rtol=1e-5)
    np.testing.assert_allclose(updates, share * plain, rtol=1e-5)
    assert int(state.edge_evaluations) == 6
    if share == 1.0:
        chex.assert_trees_all_equal(updates, plain)


def test_a_rate_beyond_the_edge_no_longer_diverges(key):
    """With 8 times the edge: plain descent grows by more than 1e3, the guarded one shrinks."""
    rate = 8 * 2 / TRACE
    plain = zojax.mezo(rate, key, radius=0.1)
    ends = {}
    for name, tx in {
        "plain": plain,
        "guarded": zojax.stay_below_edge(plain, key, rate, safety=0.5, radius=0.5),
    }.items():

        def step(carry, _, tx=tx):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=quadratic)
            return (optax.apply_updates(x, updates), state), None

        run = jax.jit(lambda x, tx=tx, step=step: jax.lax.scan(step, (x, tx.init(x)), length=60)[0])
        ends[name] = quadratic(run(START)[0]) / quadratic(START)
    assert ends["plain"] > 1e3
    assert ends["guarded"] < 0.1


def test_a_curvature_that_is_no_bound_changes_nothing(key):
    """Negative, or not a number: the updates of the method, bit by bit."""
    inner = zojax.mezo(5.0, key, radius=0.1)
    tx = zojax.stay_below_edge(inner, key, 5.0)
    updates, state = updates_of(tx, loss=lambda x: -quadratic(x))
    plain, _ = updates_of(inner, loss=lambda x: -quadratic(x))
    assert state.trace < 0
    chex.assert_trees_all_equal(updates, plain)
    _, state = updates_of(tx, loss=lambda x: quadratic(x) * jnp.nan)
    assert (state.trace, state.edge_share) == (0.0, 1.0)


def test_it_goes_around_a_method_of_any_kind(key):
    """And the losses may take arguments, which it hands on."""
    for inner in (zojax.zo_sign_sgd(1.0, key), zojax.mezo_bcd(1.0, key, labels={"w": "a"})):
        tx = zojax.stay_below_edge(inner, key, 1.0, every=1)
        x = {"w": START}
        updates, state = jax.jit(
            lambda x, target, tx=tx: tx.update(
                None, tx.init(x), x, value_fn=lambda x, t: quadratic(x["w"] - t), t=target
            )
        )(x, 1.0)
        assert np.any(updates["w"])
        assert optax.tree.get(state, "num_evaluations") > 0
        np.testing.assert_allclose(state.trace, TRACE, rtol=1e-2)


def test_recorded_losses_are_refused(key):
    tx = zojax.stay_below_edge(zojax.mezo(0.1, key), key, 0.1)
    with pytest.raises(TypeError, match="such a step cannot be made again"):
        tx.update(None, tx.init(START), START, value_fn=zojax.Recorded(jnp.ones(2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"safety": 0.0}, "safety must be a finite number above 0, got 0.0"),
        ({"every": 0}, "every must be an integer of at least 1, got 0"),
        ({"momentum": 1.0}, "momentum must be a number of at least 0 and below 1, got 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.stay_below_edge(zojax.mezo(0.1, key), key, 0.1, **arguments)
