"""Promises that every method keeps, one row a method (and a row for every sampler of MeZO)."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from contract_rows import METHODS, ROWS
from contract_steps import PARAMS, SINGLE, build, quadratic, run, step_of, traced_once

from zojax import methods


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def test_every_method_has_a_row():
    assert set(METHODS) == set(methods.__all__)


@pytest.mark.parametrize("name", ROWS)
def test_a_step_keeps_shapes_and_dtypes_and_is_traced_once(name, key):
    """And its state says what happened."""
    row = ROWS[name]
    tx = build(row, key)
    step = traced_once(step_of(tx))
    params, state = PARAMS, tx.init(PARAMS)
    leaves = jax.tree.leaves(state)
    assert len({id(leaf) for leaf in leaves}) == len(leaves)  # else it could not be donated
    first = shapes(state)
    for count in (1, 2):
        updates, state = step(params, state, jnp.float32(1))
        assert shapes(updates) == shapes(PARAMS)
        assert shapes(state) == first
        assert optax.tree.get(state, "count") == count
        assert optax.tree.get(state, "num_evaluations") == row.spent(count)
        assert optax.tree.get(state, "num_nonfinite") == 0
        chex.assert_tree_all_finite(updates)
        params = optax.apply_updates(params, updates)
        assert shapes(params) == shapes(PARAMS)
    assert optax.tree.get(state, "coefficients").any()
    assert 0 < optax.tree.get(state, "value") < 2 * quadratic(PARAMS, 1.0)


@pytest.mark.parametrize("name", ROWS)
def test_a_quadratic_shrinks_in_a_scan(name, key):
    """By the row's factor; another key ends elsewhere, the same key at the same place."""
    row = ROWS[name]
    ends = jax.jit(lambda key: run(build(row, key), SINGLE, 150)[0])
    end = ends(key)
    assert quadratic(SINGLE, 1.0) / quadratic(end, 1.0) >= row.improvement
    chex.assert_trees_all_equal(ends(jnp.copy(key)), end)
    other = ends(jax.random.fold_in(key, 1))
    assert all((a != b).any() for a, b in zip(*map(jax.tree.leaves, (end, other)), strict=True))
