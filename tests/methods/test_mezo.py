"""MeZO is the algorithm of the paper."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.reference.mezo import mezo as reference

RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(8, 3))
LABELS = RNG.choice([-1.0, 1.0], size=(8, 2))
START = {"b": RNG.normal(size=2), "w": RNG.normal(size=(3, 2))}


def logistic(x, numbers=jnp):
    margins = LABELS * (FEATURES @ x["w"] + x["b"])
    return numbers.mean(numbers.log1p(numbers.exp(-margins)))


@pytest.mark.parametrize(
    ("num_queries", "weight_decay", "sampler"),
    [
        (1, 0.0, zojax.gaussian()),
        (2, 0.3, zojax.rademacher()),
        (2, 0.3, zojax.factored(1, right_period=2)),
    ],
    ids=["n=1", "n=2 decayed", "n=2 decayed, kept factors"],
)
def test_five_steps_equal_the_papers_loop(num_queries, weight_decay, sampler, key, x64):
    """Fed the same z. rtol: rounding of float64 losses divided by the radius."""
    x = jax.tree.map(jnp.asarray, START)
    tx = zojax.mezo(
        0.5,
        key,
        radius=1e-2,
        num_queries=num_queries,
        sampler=sampler,
        weight_decay=weight_decay,
        weight_decay_mask={"b": False, "w": True},
    )

    @jax.jit
    def run():
        def step(carry, index):
            x, state, drawn = carry
            updates, state = tx.update(None, state, x, value_fn=logistic)
            directions, drawn = sampler.draw(drawn, key, index, num_queries, x)
            z = jax.vmap(lambda direction: zojax.materialize(direction, x))(directions)
            x = optax.apply_updates(x, updates)
            return (x, state, drawn), (z, optax.tree.get(state, "coefficients"))

        carry, tape = jax.lax.scan(step, (x, tx.init(x), sampler.init(x)), jnp.arange(5))
        return carry[0], *tape

    got, z, coefficients = run()
    directions = [
        [{name: z[name][step, query] for name in z} for query in range(num_queries)]
        for step in range(5)
    ]
    expected, slopes = reference(
        lambda x: logistic(x, np),
        START,
        directions,
        learning_rate=0.5,
        radius=1e-2,
        weight_decay=weight_decay,
        decayed=["w"],
    )
    for name in START:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-6)
    # The state keeps them in float32.
    np.testing.assert_allclose(coefficients * num_queries, slopes, rtol=1e-6)


SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "rademacher": zojax.rademacher(),
    "sphere": zojax.sphere(),
    "coordinate": zojax.coordinate(),
    "factored": zojax.factored(1),
    "kept": zojax.factored(2, core="gaussian", left_period=3, right_period=2),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_direction_measured_is_the_direction_applied(name, key):
    """Bitwise, on every step, also where factors are drawn anew.

    At x = 0, with a radius of 2⁻¹⁰, the slope of f(x) = x_e is z_e without any rounding, so the
    coefficient shows what was measured; the slope of 2⁻¹⁰ sign(x_e) is ±1, so the update shows what
    is applied. Only a sum of two products of factors, cut or whole, may be rounded once less.
    """
    sampler = SAMPLERS[name]
    params = {"b": jnp.zeros(3), "w": jnp.zeros((4, 3))}
    radius = 2**-10
    tx = zojax.estimate_gradient(key, sampler, zojax.central(radius))

    def entry(x, *, signed):
        value = x["w"][2, 1]
        return jnp.where(signed, radius * jnp.sign(value), value)

    @jax.jit
    def run(signed):
        def step(carry, index):
            state, drawn = carry
            updates, state = tx.update(None, state, params, value_fn=entry, signed=signed)
            directions, drawn = sampler.draw(drawn, key, index, 1, params)
            one = jax.tree.map(lambda array: array[0], directions)
            return (state, drawn), (updates, state.coefficients[0], zojax.materialize(one, params))

        return jax.lax.scan(step, (tx.init(params), sampler.init(params)), jnp.arange(6))[1]

    rtol = 1e-6 if name == "kept" else 0
    _, measured, z = run(False)
    np.testing.assert_allclose(measured, z["w"][:, 2, 1], rtol=rtol)
    applied, measured, z = run(True)
    np.testing.assert_array_equal(measured, np.sign(z["w"][:, 2, 1]))
    for leaf in params:
        sign = np.asarray(measured).reshape(-1, *(1,) * params[leaf].ndim)
        np.testing.assert_allclose(applied[leaf], sign * np.asarray(z[leaf]), rtol=rtol)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_never_touches_params(bad, key):
    """Weight decay included; the step is counted, and the next one is taken."""
    x = {"w": jnp.array([1.0, -2.0])}
    tx = zojax.mezo(0.1, key, weight_decay=0.5)

    def loss(x, spoil):
        return jnp.sum(x["w"] ** 2) + jnp.where(spoil, bad, 0.0)

    @jax.jit
    def step(x, state, spoil):
        updates, state = tx.update(None, state, x, value_fn=loss, spoil=spoil)
        return optax.apply_updates(x, updates), state

    same, state = step(x, tx.init(x), True)
    np.testing.assert_array_equal(same["w"], x["w"])
    assert optax.tree.get(state, "num_nonfinite") == 1
    moved, state = step(same, state, False)
    assert (moved["w"] != x["w"]).all()
    assert optax.tree.get(state, "num_nonfinite") == 1
    assert optax.tree.get(state, "count") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        ({"num_queries": 0}, r"num_queries must be an integer of at least 1, got 0"),
        ({"weight_decay": -0.1}, r"weight_decay must be a finite number of at least 0, got -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.mezo(0.1, key, **arguments)
