"""Updates of narrow params: unbiased, keyed, resumable, and nearest where nothing is lost."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import zojax
from zojax.training import make_step

NARROW = [jnp.bfloat16, jnp.float16]
# One leaf has too few entries to be drawn alone, one is neither narrow nor rounded.
SHAPES = {"large": (300, 200), "scale": (), "small": (7,), "stack": (3, 5, 4)}


def params_of(dtype, key):
    each = jax.random.split(key, len(SHAPES))
    drawn = (jax.random.normal(k, shape) for k, shape in zip(each, SHAPES.values(), strict=True))
    params = {name: z.astype(dtype) for name, z in zip(SHAPES, drawn, strict=True)}
    return params | {"single": jnp.full((3, 3), 0.1)}


@functools.partial(jax.jit, static_argnums=0)
def stepped(tx, params, updates, state=None):
    state = tx.init(params) if state is None else state
    updates, state = tx.update(updates, state, params)
    return optax.apply_updates(params, updates), state


def wide(tree):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


@pytest.mark.parametrize("dtype", NARROW)
def test_params_go_to_a_neighbor_of_the_sum_and_wide_leaves_to_the_sum(dtype, key):
    params = params_of(dtype, key)
    updates = jax.tree.map(lambda p: jnp.full(p.shape, 1e-4), params)
    new, _ = stepped(zojax.round_stochastically(optax.identity(), key), params, updates)
    chex.assert_trees_all_equal_dtypes(new, params)
    np.testing.assert_array_equal(new["single"], params["single"] + 1e-4)
    for name in SHAPES:
        total = np.asarray(params[name], np.float32) + np.float32(1e-4)
        error = np.abs(np.asarray(new[name], np.float32) - total)
        assert (error <= float(jnp.finfo(dtype).eps) * np.maximum(np.abs(total), 1e-4)).all()
    moved = np.asarray(new["large"] != params["large"]).mean()
    assert 0 < moved < 1


@pytest.mark.parametrize("dtype", NARROW)
def test_updates_that_are_lost_to_nearest_add_up(dtype, key):
    """200 steps of a tenth of half the spacing; the error is a random walk of 8 standard errors."""
    x = jnp.ones(4096, dtype)
    step = float(jnp.finfo(dtype).eps) / 20
    tx = zojax.round_stochastically(optax.identity(), key)

    @jax.jit
    def run(tx_updates):
        def body(carry, _):
            return stepped(tx, carry[0], tx_updates, carry[1]), None

        return jax.lax.scan(body, (x, tx.init(x)), length=200)[0][0]

    moved = np.asarray(run(jnp.full(x.shape, step)), np.float64) - 1
    deviation = np.sqrt(200 * step * float(jnp.finfo(dtype).eps))
    assert abs(moved.mean() - 200 * step) < 5 * deviation / np.sqrt(x.size)
    nearest = x
    for _ in range(3):
        nearest = optax.apply_updates(nearest, jnp.full(x.shape, step))
    assert (nearest == 1).all()


@pytest.mark.parametrize("dtype", NARROW)
def test_updates_to_what_the_dtype_holds_are_those_of_nearest(dtype, key):
    params = params_of(dtype, key)
    updates = jax.tree.map(lambda p: (-0.5 * p.astype(jnp.float32)).astype(p.dtype), params)
    tx = zojax.round_stochastically(optax.identity(), key)
    new, _ = stepped(tx, params, updates)
    chex.assert_trees_all_equal(new, optax.apply_updates(params, updates))


def test_nothing_changes_no_bit(key):
    params = params_of(jnp.bfloat16, key) | {"zeros": jnp.array([0.0, -0.0], jnp.bfloat16)}
    updates = jax.tree.map(lambda p: -jnp.zeros(p.shape), params)
    new, _ = stepped(zojax.round_stochastically(optax.identity(), key), params, updates)
    for name, leaf in params.items():
        assert np.asarray(new[name]).tobytes() == np.asarray(leaf).tobytes()


def test_roundings_depend_on_key_step_and_path_alone(key):
    params = params_of(jnp.bfloat16, key)
    updates = jax.tree.map(lambda p: jnp.full(p.shape, 1e-4), params)
    tx = zojax.round_stochastically(optax.identity(), key)
    first, state = stepped(tx, params, updates)
    chex.assert_trees_all_equal(stepped(tx, params, updates)[0], first)
    second, _ = stepped(tx, params, updates, state)
    assert (second["large"] != first["large"]).any()
    other = zojax.round_stochastically(optax.identity(), jax.random.fold_in(key, 1))
    assert (stepped(other, params, updates)[0]["large"] != first["large"]).any()
    # Without the other leaves, and in another place of the tree.
    alone = {"large": params["large"], "A": params["large"]}
    shifted, _ = stepped(tx, alone, {name: updates["large"] for name in alone})
    np.testing.assert_array_equal(shifted["large"], first["large"])
    assert (shifted["A"] != first["large"]).any()


def test_a_state_that_was_stored_goes_on_bit_by_bit(key):
    """A stored state in a fresh transformation, which may have been made with another key."""

    def loss(x):
        return jnp.sum((x["w"].astype(jnp.float32) - 1) ** 2)

    params = {"w": jnp.linspace(-1, 1, 600).reshape(20, 30).astype(jnp.bfloat16)}

    def run(params, state, tx, count):
        step = make_step(tx, loss)
        for _ in range(count):
            params, state, _ = step(params, state)
        return params, state

    tx = zojax.round_stochastically(zojax.mezo(1e-5, key), key)
    whole, _ = run(jax.tree.map(jnp.copy, params), tx.init(params), tx, 4)
    half, state = run(jax.tree.map(jnp.copy, params), tx.init(params), tx, 2)
    other = jax.random.key(77)
    again = zojax.round_stochastically(zojax.mezo(1e-5, other), other)
    chex.assert_trees_all_equal(run(half, state, again, 2)[0], whole)
    assert (whole["w"] != params["w"]).any()


@functools.partial(jax.jit, static_argnames="dtype")
def added(x, u, seed, dtype):
    tx = zojax.round_stochastically(optax.identity(), jax.random.key(seed))
    return stepped(tx, x.astype(dtype), u)[0]


@settings(deadline=None)
@given(
    x=arrays(
        np.float32, st.sampled_from([(4,), (1, 3, 2)]), elements=st.floats(-1e4, 1e4, width=16)
    ),
    u=st.floats(-1e4, 1e4, width=32, allow_subnormal=False),  # XLA on a CPU flushes them
    dtype=st.sampled_from(NARROW),
    seed=st.integers(0, 2**31 - 1),
)
def test_adding_the_update_gives_a_neighbor_of_the_sum(x, u, dtype, seed):
    """`optax.apply_updates` makes no second error, whatever is added to what."""
    updates = np.full(x.shape, u, np.float32)
    new = np.asarray(added(x, updates, seed, dtype), np.float32)
    total = x.astype(dtype).astype(np.float32) + updates
    of = jnp.finfo(dtype)
    allowed = np.maximum(float(of.eps) * np.abs(total), float(of.smallest_subnormal))
    assert (np.abs(new - total) <= allowed).all()
    held = total == total.astype(dtype)
    np.testing.assert_array_equal(new[held], total[held])


def test_leaves_of_eight_bits_are_refused(key):
    tx = zojax.round_stochastically(optax.identity(), key)
    with pytest.raises(ValueError, match=r"params\['w'\] is float8_e4m3fn"):
        tx.init({"w": jnp.zeros(3, jnp.float8_e4m3fn)})


def test_it_needs_params_and_a_typed_key(key):
    tx = zojax.round_stochastically(optax.identity(), key)
    with pytest.raises(ValueError, match="round_stochastically needs `params`"):
        tx.update(jnp.ones(3), tx.init(jnp.ones(3)))
    with pytest.raises(TypeError, match="typed key"):
        zojax.round_stochastically(optax.identity(), 0)


@pytest.mark.parametrize("dtype", NARROW)
def test_masters_are_what_float32_params_would_be(dtype, key):
    """Of a transformation that reads no params: the same bits, and params are their roundings."""
    params = params_of(dtype, key)
    tx = zojax.keep_float32_masters(optax.sgd(1e-3, momentum=0.9))
    plain = optax.sgd(1e-3, momentum=0.9)
    masters, plain_state, state = wide(params), plain.init(wide(params)), tx.init(params)
    for i in range(5):
        gradient = jax.tree.map(lambda p, i=i: jnp.full(p.shape, 0.1 + i), params)
        params, state = stepped(tx, params, gradient, state)
        masters, plain_state = stepped(plain, masters, gradient, plain_state)
        chex.assert_trees_all_equal(state.masters, masters)
        rounded = jax.tree.map(lambda m, p: m.astype(p.dtype), masters, params)
        chex.assert_trees_all_equal(params, rounded)
