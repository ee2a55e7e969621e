"""TeZO is the algorithm as its card reads the paper; its second moment is that of what it lifts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.tezo import tezo as reference

RANK = 2
OPTIONS = {"learning_rate": 0.05, "radius": 1e-2, "weight_decay": 0.2}
OPTIONS |= {"b1": 0.8, "b2": 0.9, "eps": 1e-4}


def directions_of(rank):
    return zojax.factored(rank, core="diagonal", left_period=None, right_period=None)


@functools.cache
def recorded(variant):
    """Eight steps, and U, V, τ and z."""
    key, sampler = jax.random.key(0), directions_of(RANK)
    tx = zojax.tezo(key=key, rank=RANK, variant=variant, **OPTIONS)

    def look(directions, kept, step):
        x = jax.tree.map(jnp.asarray, taped.START)
        one = jnp.ones(1)
        cores = sampler.subspace.combine(kept, key, step, one, directions, x)
        noise = {name: cores[name][0] for name in taped.MATRICES}
        bases = dict(
            zip(taped.MATRICES, zip(kept["left"], kept["right"], strict=True), strict=True)
        )
        return bases, noise | {"b": taped.dense(directions)["b"][0]}

    return taped.run(tx, sampler, key, look)


@pytest.mark.parametrize("variant", ["plain", "momentum", "adam"])
def test_eight_steps_equal_the_loop(variant):
    """Fed the same U, V, τ and z."""
    got = recorded(variant)
    bases = jax.tree.map(np.float64, got.tape[0][0])
    noise = [jax.tree.map(np.float64, drawn) for _, drawn in got.tape]
    expected = reference(
        lambda x: taped.network(x, np), taped.START, bases, noise, variant=variant, **OPTIONS
    )
    taped.assert_close(got.x, expected)
    assert optax.tree.get(got.state, "num_evaluations") == 16
    for name in taped.MATRICES:
        for side, part in zip(("left", "right"), got.tape[7][0][name], strict=True):
            np.testing.assert_array_equal(part, got.tape[0][0][name][side == "right"])


def test_matrices_move_within_r_dimensions_unless_a_root_divides_the_step():
    """W_8 - (1 - η λ)⁸ W_0 is a sum of the r products u vᵀ."""
    kept = (1 - OPTIONS["learning_rate"] * OPTIONS["weight_decay"]) ** 8
    outside = {}
    for variant in ("plain", "momentum", "adam"):
        got = recorded(variant)
        for name in taped.MATRICES:
            u, v = (np.float64(part) for part in got.tape[0][0][name])
            products = np.einsum("ms,ns->mns", u, v).reshape(-1, RANK)
            move = (got.x[name] - kept * taped.START[name]).reshape(-1)
            rest = move - products @ np.linalg.lstsq(products, move)[0]
            outside[variant, name] = np.linalg.norm(rest) / np.linalg.norm(move)
    for (variant, _), share in outside.items():
        assert share > 0.1 if variant == "adam" else share < 1e-6


def test_lifted_squares_are_the_variance_of_what_is_lifted(key):
    """Σ over τ in {-1, 1}² of (Σ_s √v_s τ_s u_s v_sᵀ / √r)², which is exact for two coordinates."""
    sampler = directions_of(RANK)
    x = {"b": jnp.zeros(3), "w": jnp.zeros((4, 3))}
    v = np.float32([0.25, 4.0])

    @jax.jit
    def run():
        _, state = sampler.draw(sampler.init(x), key, jnp.int32(0), 1, x)

        def tree(core):
            return {"b": optax.MaskedNode(), "w": jnp.asarray(core)[None]}

        squares = sampler.subspace.lift_squares(state, tree(v), x, x)["w"]
        signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
        lifted = [
            sampler.subspace.lift(state, tree(np.sqrt(v) * np.float32(pair)), x, x)["w"]
            for pair in signs
        ]
        return squares, sum(z**2 for z in lifted) / 4

    np.testing.assert_allclose(*run(), rtol=1e-5)


def test_a_step_without_a_finite_loss_changes_neither_params_nor_moments(key):
    tx = zojax.tezo(0.1, key, rank=2, weight_decay=0.1)
    x = {"b": jnp.ones(3), "w": jnp.ones((3, 2))}

    @jax.jit
    def step(x, state, spoil):
        loss = lambda x: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(x)) + spoil  # noqa: E731
        updates, state = tx.update(None, state, x, value_fn=loss)
        return optax.apply_updates(x, updates), state

    x, state = step(x, tx.init(x), 0.0)
    same, after = step(x, state, jnp.nan)
    jax.tree.map(np.testing.assert_array_equal, same, x)
    (_, inner), (_, behind) = optax.tree.get_all_with_path(state, "nu")
    assert inner["w"].shape == (1, 2)
    assert behind["b"].shape == (3,)
    for name in ("mu", "nu"):
        kept, found = (optax.tree.get_all_with_path(s, name) for s in (state, after))
        jax.tree.map(
            np.testing.assert_array_equal, [one for _, one in found], [one for _, one in kept]
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "lion"}, r"variant must be one of plain, momentum, adam, got 'lion'"),
        ({"rank": 0}, r"rank must be an integer of at least 1, got 0"),
        ({"b2": 1.0}, r"b2 must be a number of at least 0 and below 1, got 1.0"),
        ({"eps": 0.0}, r"eps must be a finite number above 0, got 0.0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.tezo(0.1, key, **arguments)


def test_separable_moments_need_coordinates_that_can_be_squared(key):
    from zojax.transforms import estimate_with_separable_adam

    with pytest.raises(ValueError, match="separable second moments need a sampler whose coordinat"):
        estimate_with_separable_adam(key, zojax.gaussian(), zojax.central())
