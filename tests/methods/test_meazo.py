"""MEAZO is the loop of its card, and one number does what Adam's second moments do on average."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.meazo import meazo as reference


def test_eight_steps_equal_the_loop(key):
    """Fed the same z. Slopes are told as float32."""
    options = {"learning_rate": 0.02, "radius": 1e-2, "decay": 0.8, "eps": 1e-3}
    options["weight_decay"] = 0.2
    tx = zojax.meazo(key=key, num_queries=2, **options)
    look = lambda directions, kept, step: taped.dense(directions)  # noqa: E731
    got = taped.run(tx, zojax.gaussian(), key, look, num_queries=2)
    expected = reference(
        lambda x: taped.network(x, np), taped.START, map(taped.queries, got.tape), **options
    )
    taped.assert_close(got.x, expected)
    assert optax.tree.get(got.state, "num_evaluations") == 8 * 4


def test_along_signs_it_is_adam_without_a_first_moment(key):
    """z² = 1: every entry has the second moment v. To the rounding of Adam's own order."""
    x = {"b": jnp.linspace(-1.0, 1.0, 3), "w": jnp.ones((4, 3))}
    options = {"radius": 0.25, "sampler": zojax.rademacher(), "eps": 1e-3}
    methods = (
        zojax.mezo_adam(0.05, key, b1=0.0, b2=0.9, **options),
        zojax.meazo(0.05, key, decay=0.9, **options),
    )

    @jax.jit
    def ends():
        def end(tx):
            def step(carry, _):
                x, state = carry
                updates, state = tx.update(None, state, x, value_fn=loss)
                return (optax.apply_updates(x, updates), state), None

            return jax.lax.scan(step, (x, tx.init(x)), length=4)[0][0]

        return [end(tx) for tx in methods]

    def loss(x):
        return sum(jnp.sum(jnp.sin(leaf) + leaf**2) for leaf in jax.tree.leaves(x))

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *ends())


def test_a_step_without_a_finite_loss_and_a_flat_one(key):
    """The first leaves the average alone, the second moves nothing also without eps."""
    tx = zojax.meazo(0.1, key, eps=0.0, weight_decay=0.1)
    x = jnp.ones(3)

    @jax.jit
    def step(x, state, factor):
        updates, state = tx.update(None, state, x, value_fn=lambda x: factor * jnp.sum(x**2))
        return optax.apply_updates(x, updates), state

    flat, _ = step(x, tx.init(x), 0.0)
    np.testing.assert_allclose(flat, 0.99 * x, rtol=1e-6)
    x, state = step(x, tx.init(x), 1.0)
    same, after = step(x, state, jnp.nan)
    np.testing.assert_array_equal(same, x)
    for name in ("mean_square", "num_updates"):
        assert optax.tree.get(after, name) == optax.tree.get(state, name) > 0


def test_it_wants_to_be_told_the_coefficients():
    from zojax.transforms import scale_by_slope_rms

    link = scale_by_slope_rms()
    with pytest.raises(ValueError, match=r"needs the coefficients .* zojax.chain, which tells"):
        link.update(jnp.ones(2), link.init(jnp.ones(2)))
