"""DiZO is the loop of its paper: MeZO, and matrices that are moved along where they went."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from eight_steps import START, STEPS, assert_ends_agree, eight_steps, in_numpy, logistic
from flax import nnx

import zojax
from tests.reference.dizo import dizo as reference
from zojax.noise import keys

EVERY = {"projected": lambda path, leaf: True}


def test_eight_steps_equal_the_papers_loop(key, x64):
    """Two cycles of two steps and two projections, fed the same z and ζ; one is clipped."""
    numbers = {"projection_radius": 0.2, "projection_rate": 0.4, "bound": 0.3, "radius": 1e-2}
    tx = zojax.dizo(0.5, key, interval=2, projection_steps=2, **numbers, **EVERY)
    params, _, noise = eight_steps(tx, key)
    zeta = [
        dict(
            zip(
                ("b", "w"),
                np.float64(jax.random.normal(keys.estimator_key(key, jnp.int32(step)), (2,))),
                strict=True,
            )
        )
        for step in range(STEPS)
    ]
    cycles = [([z for (z,) in noise[i : i + 2]], zeta[i + 2 : i + 4]) for i in (0, 4)]
    expected, ratios = reference(in_numpy, START, cycles, learning_rate=0.5, **numbers)
    assert max(abs(z) for of_step in zeta for z in of_step.values()) > 0.3 / 0.2
    assert any(ratio != 1.0 for of_step in ratios for ratio in of_step.values())
    assert_ends_agree(params, expected)


def run(tx, x, count):
    def step(carry, _):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=logistic)
        return (optax.apply_updates(x, updates), state), x

    return jax.jit(lambda x: jax.lax.scan(step, (x, tx.init(x)), length=count))(x)


@pytest.mark.parametrize("options", [{"bound": 0.0}, {"projection_rate": 0.0}, {"interval": 9}])
def test_without_projections_it_is_mezo(options, key):
    """With no room, no rate, or none yet; the steps in which they would be change no bit."""
    x = jax.tree.map(jnp.float32, START)
    arguments = {"interval": 3, "projection_steps": 2, "radius": 0.1, **EVERY, **options}
    (end, _), _ = run(zojax.dizo(0.1, key, **arguments), x, 3)
    (expected, _), _ = run(zojax.mezo(0.1, key, radius=0.1), x, 3)
    chex.assert_trees_all_close(end, expected, rtol=1e-6)
    if "interval" not in options:
        (later, _), _ = run(zojax.dizo(0.1, key, **arguments), x, 5)
        chex.assert_trees_all_equal(later, end)


def test_a_projection_stays_within_its_bounds_and_other_leaves_where_they_are(key):
    """A rate at which γ goes to the ends: D becomes 0.8 or 1.2 times as long, in its direction."""
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.dizo(
        0.5,
        key,
        interval=3,
        projection_steps=4,
        projection_rate=1e4,
        projected=lambda path, leaf: leaf.ndim > 1,
        weight_decay=0.1,
    )
    (end, state), visited = run(tx, x, 7)
    np.testing.assert_array_equal(end["b"], visited["b"][3])
    ratios = (end["w"] - x["w"]) / (visited["w"][3] - x["w"])
    np.testing.assert_allclose(ratios, ratios[0, 0], rtol=1e-4)
    assert np.min(np.abs(ratios[0, 0] - np.array([0.8, 1.2]))) < 1e-4
    kept = optax.tree.get(state, "sampler")
    np.testing.assert_allclose(kept.ratio, ratios[0, 0], rtol=1e-4)
    assert [leaf.shape for leaf in jax.tree.leaves(kept.anchor)] == [(3, 2)]


def test_matrices_of_keys_and_values_are_found_by_their_names():
    attention = nnx.MultiHeadAttention(num_heads=2, in_features=4, rngs=nnx.Rngs(0))
    params = nnx.state(attention, nnx.Param)
    chosen = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree.leaves_with_path(params)
        if zojax.samplers.keys_and_values(path, leaf)
    ]
    # Biases of heads, (heads, head_dim), are among them.
    assert len(chosen) == 4
    assert all("'key'" in name or "'value'" in name for name in chosen)


def test_params_without_any_are_refused(key):
    tx = zojax.dizo(0.1, key)
    with pytest.raises(ValueError, match=r"no leaf of params is projected; say which .* \['w'\]"):
        tx.init({"w": jnp.ones((2, 3))})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bound": 1.0}, "bound must be a number of at least 0 and below 1, got 1.0"),
        ({"interval": 0}, "interval must be an integer of at least 1, got 0"),
        ({"projection_radius": 0.0}, "projection_radius must be a finite number above 0, got 0.0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.dizo(0.1, key, **arguments)
