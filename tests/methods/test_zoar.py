"""ZoAR is the algorithm of the released code, with a buffer of losses alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.reference import zoar as reference
from zojax.training import Checkpoints

RNG = np.random.default_rng(11)
FEATURES = RNG.normal(size=(8, 3))
LABELS = RNG.choice([-1.0, 1.0], size=(8, 2))
START = {"b": RNG.normal(size=2), "v": RNG.normal(size=(2, 2)), "w": RNG.normal(size=(3, 2))}
RADIUS = 0.1


def logistic(x, numbers=jnp):
    hidden = numbers.tanh(FEATURES @ x["w"] + x["b"])
    return numbers.mean(numbers.log1p(numbers.exp(-LABELS * (hidden @ x["v"]))))


def drawn(sampler, key, steps, num_queries, x):
    """z of every step and query, a tree with leaves (steps, K, ...)."""

    def step(state, index):
        directions, state = sampler.draw(state, key, index, num_queries, x)
        return state, jax.vmap(lambda direction: zojax.materialize(direction, x))(directions)

    return jax.lax.scan(step, sampler.init(x), jnp.arange(steps))[1]


ADAM = zojax.scale_by_zo_adamm(amsgrad=False)
CASES = {
    "published": (0.05, {"ddof": 0}, lambda: reference.Moments(refined=True)),
    "descent, unbiased": (0.5, {"rule": optax.identity()}, lambda: reference.descent),
    "Adam, a baseline a step": (
        0.05,
        {"rule": ADAM, "per_block": True},
        lambda: reference.Moments(refined=False),
    ),
    "pairs, kept factors": (
        0.05,
        {"antithetic": True, "sampler": zojax.factored(1, right_period=2)},
        lambda: reference.Moments(refined=True),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_five_steps_equal_the_released_loop(name, key, x64):
    """Fed the same z; three steps fill the window. rtol: rounding of losses over the radius."""
    learning_rate, options, rule = CASES[name]
    x = jax.tree.map(jnp.asarray, START)
    tx = zojax.zoar(learning_rate, key, radius=RADIUS, num_queries=3, history=2, **options)

    @jax.jit
    def run():
        def step(carry, _):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=logistic)
            return (optax.apply_updates(x, updates), state), None

        sampler = options.get("sampler", zojax.gaussian())
        end = jax.lax.scan(step, (x, tx.init(x)), length=5)[0][0]
        return end, drawn(sampler, key, 5, 3, x)

    got, z = run()
    expected = reference.zoar(
        lambda x: logistic(x, np),
        START,
        [[{name: z[name][t, k] for name in z} for k in range(3)] for t in range(5)],
        learning_rate=learning_rate,
        radius=RADIUS,
        history=2,
        rule=rule(),
        per_block=options.get("per_block", False),
        # In pairs every baseline cancels, and the divisor is that of an average.
        ddof=0 if "antithetic" in options else options.get("ddof", 1),
        antithetic=options.get("antithetic", False),
    )
    for leaf in START:
        assert np.abs(got[leaf] - START[leaf]).max() > 1e-2
        np.testing.assert_allclose(got[leaf], expected[leaf], rtol=1e-6, atol=1e-8)


def test_pairs_without_history_are_mezo(key):
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)
    zoar = zojax.zoar(
        0.1, key, num_queries=2, history=0, antithetic=True, rule=optax.identity(), radius=RADIUS
    )
    mezo = zojax.mezo(0.1, key, num_queries=2, radius=RADIUS)

    @jax.jit
    def run():
        return [tx.update(None, tx.init(x), x, value_fn=logistic)[0] for tx in (zoar, mezo)]

    one, two = run()
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_a_step_without_finite_losses_is_not_taken_and_keeps_its_place(key, x64):
    """At one x, on f(x) = a x: estimates of later steps are (3) over the steps that have losses."""
    a = np.array([0.5, -2.0, 1.0, 3.0])
    num_queries, history, spoiled = 2, 2, 1
    x = jnp.zeros(4)
    tx = zojax.zoar(
        1.0, key, radius=RADIUS, num_queries=num_queries, history=history, rule=optax.identity()
    )

    def loss(x, spoil):
        return jnp.sum(a * x) + jnp.where(spoil, jnp.nan, 0)

    @jax.jit
    def run():
        def step(state, spoil):
            updates, state = tx.update(None, state, x, value_fn=loss, spoil=spoil)
            return state, updates

        state, updates = jax.lax.scan(step, tx.init(x), jnp.arange(5) == spoiled)
        return state, updates, drawn(zojax.gaussian(), key, 5, num_queries, x)

    state, updates, z = run()
    assert optax.tree.get(state, "num_nonfinite") == 1
    assert not updates[spoiled].any()
    for t in (2, 3, 4):
        seen = np.concatenate([z[s] for s in range(t - history, t + 1) if s != spoiled])
        y = RADIUS * np.asarray(seen, np.float64) @ a
        expected = -(y - y.mean()) @ seen / (RADIUS * (len(y) - 1))
        np.testing.assert_allclose(updates[t], expected, rtol=1e-11)


def test_a_run_goes_on_exactly_from_the_middle_of_a_window(key, tmp_path):
    """Stored and read after 2 of the 3 steps that fill it; later steps are the same by the bit."""
    tx = zojax.zoar(0.05, key, radius=RADIUS, num_queries=2, history=3)
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)

    @jax.jit
    def step(x, state):
        updates, state = tx.update(None, state, x, value_fn=logistic)
        return optax.apply_updates(x, updates), state

    run = x, tx.init(x)
    for _ in range(2):
        run = step(*run)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(2, *run, loss=0.0)
    abstract = jax.eval_shape(lambda: run)
    with Checkpoints(tmp_path) as checkpoints:
        resumed = checkpoints.restore(2, params=abstract[0], state=abstract[1])
    for _ in range(4):
        run, resumed = step(*run), step(*resumed)
    jax.tree.map(np.testing.assert_array_equal, resumed[0], run[0])


@pytest.mark.parametrize("antithetic", [False, True])
def test_a_state_of_another_window_is_refused(antithetic, key):
    x = jnp.zeros(3)
    three, four = (
        zojax.zoar(0.1, key, history=history, antithetic=antithetic) for history in (2, 3)
    )
    message = r"shape \(3, 10\) where history and num_queries ask for \(4, 10\)"
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: four.update(None, three.init(x), x, value_fn=jnp.sum))


@pytest.mark.parametrize("size", [1, 1000])
def test_the_estimate_stores_scalars_alone(size, key):
    """(N + 1) K losses, the K last losses and coefficients, 4 counters and 2 words of the key."""
    tx = zojax.zoar(0.1, key, num_queries=3, history=4, rule=optax.identity())
    state = jax.eval_shape(tx.init, jnp.zeros(size))
    words = [2 if leaf.dtype == key.dtype else leaf.size for leaf in jax.tree.leaves(state)]
    assert sum(words) == 5 * 3 + 3 + 3 + 4 + 2


def test_with_one_query_the_first_step_stays_where_it_is(key):
    """One loss is its own average; the rule, R-AdaZO, must survive its 0/0."""
    tx = zojax.zoar(0.1, key, num_queries=1, history=2)
    x = jnp.ones(3)

    @jax.jit
    def run():
        first, state = tx.update(None, tx.init(x), x, value_fn=jnp.sum)
        return first, tx.update(None, state, x, value_fn=jnp.sum)[0]

    first, second = run()
    assert not first.any()
    assert second.all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_queries": 1, "history": 0}, r"num_queries must be at least 2 with history=0"),
        ({"num_queries": 1, "per_block": True}, r"at least 2 with history=5, per_block=True"),
        ({"history": -1}, r"history must be an integer of at least 0, got -1"),
        ({"history": -1, "antithetic": True}, r"history must be an integer of at least 0, got -1"),
        ({"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        ({"ddof": 2}, r"ddof must be 0 or 1, got 2"),
        ({"sampler": zojax.gaussian()._replace(recall=None)}, r"use history=0, or a sampler"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.zoar(0.1, key, **options)
