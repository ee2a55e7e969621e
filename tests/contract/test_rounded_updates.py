"""Every method with rounded updates and with masters."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from contract_rows import METHODS
from contract_steps import PARAMS, SINGLE, build, step_of, traced_once

import zojax

WRAPPERS = {
    "stochastic": zojax.round_stochastically,
    "masters": lambda tx, key: zojax.keep_float32_masters(tx),
}


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def to_what_the_dtype_holds():
    """A link after which params + updates are numbers of the params' dtype."""

    def held(u, x):
        wide = x.astype(jnp.float32)
        return (wide + u).astype(x.dtype).astype(jnp.float32) - wide

    def update(updates, state, params):
        return jax.tree.map(held, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


# Those that form updates in ways of their own; in the others links do what they do here.
FORMING = ("mezo", "mezo_bcd", "mezo_adam", "zo_muon", "loren", "zoar", "ar1_zo", "hizoo", "dizo")


@pytest.mark.parametrize(
    ("name", "wrapper"),
    [*((name, "stochastic") for name in METHODS), *((name, "masters") for name in FORMING)],
)
def test_updates_are_float32_and_a_step_is_traced_once(name, wrapper, key):
    """And the state keeps its shapes and dtypes, and says what happened."""
    tx = WRAPPERS[wrapper](build(METHODS[name], key), key)
    step = traced_once(step_of(tx))
    params, state = PARAMS, tx.init(PARAMS)
    first = shapes(state)
    for count in (1, 2):
        updates, state = step(params, state, jnp.float32(1))
        assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(jnp.float32)}
        assert shapes(state) == first
        assert optax.tree.get(state, "num_evaluations") == METHODS[name].spent(count)
        params = optax.apply_updates(params, updates)
        assert shapes(params) == shapes(PARAMS)
    chex.assert_tree_all_finite(params)


@pytest.mark.parametrize("name", FORMING)
def test_where_nothing_has_to_be_rounded_it_is_rounding_to_nearest(name, key):
    """Bit by bit: of float32 params, and of bfloat16 ones whose sums bfloat16 holds."""
    row = METHODS[name]
    exact = optax.chain(build(row, key), to_what_the_dtype_holds())
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), SINGLE)
    for tx, params in ((build(row, key), SINGLE), (exact, half)):
        rounded = zojax.round_stochastically(tx, key)
        wide = jax.jit(lambda x, s, tx=tx: step_of(wide_updates(tx))(x, s))
        found, _ = jax.jit(step_of(rounded))(params, rounded.init(params))
        expected, _ = wide(params, rounded.init(params).inner_state)
        chex.assert_trees_all_equal(
            optax.apply_updates(params, found), optax.apply_updates(params, expected)
        )


def wide_updates(tx):
    def update(*args, **extra):
        return tx.update(*args, wide_updates=True, **extra)

    return optax.GradientTransformationExtraArgs(tx.init, update)


def test_a_step_that_is_withheld_changes_no_bit(key):
    params = {"w": jnp.array([0.1, -0.0, 3.0], jnp.bfloat16)}
    for wrap in WRAPPERS.values():
        tx = wrap(zojax.mezo(1.0, key, weight_decay=0.1), key)
        updates, state = tx.update(
            None, tx.init(params), params, value_fn=lambda x: jnp.sum(x["w"]) * jnp.nan
        )
        new = optax.apply_updates(params, updates)
        assert new["w"].tobytes() == params["w"].tobytes()
        assert optax.tree.get(state, "num_nonfinite") == 1


def test_waiting_calls_of_an_accumulated_step_change_no_bit(key):
    params = {"w": jnp.array([0.1, -0.0, 3.0], jnp.bfloat16)}
    tx = zojax.round_stochastically(zojax.mezo(1e-2, key, radius=0.25, accumulate=2), key)
    state, seen = tx.init(params), []
    for _ in range(2):
        updates, state = tx.update(
            None, state, params, value_fn=lambda x: jnp.sum(x["w"].astype(jnp.float32) ** 2)
        )
        params = optax.apply_updates(params, updates)
        seen.append(params["w"].tobytes())
    assert seen[0] == jnp.array([0.1, -0.0, 3.0], jnp.bfloat16).tobytes() != seen[1]
