"""A wide leaf is perturbed a block at a time, whatever the sizes, and the values stay the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rule_cases import data

import zojax
from zojax import _thresholds

RADIUS = jnp.array([0.25, -0.25])
# Sizes that blocks of 1/5 or 1/7 of the leaf do not divide.
CONTRACTIONS = {
    "kept_axis": (lambda w: data(3, 7) @ w.T, (61, 7)),
    "kept_axis_of_the_weight_on_the_left": (lambda w: w @ data(7, 3), (61, 7)),
    "summed_axis": (lambda w: jnp.einsum("bij,ij->b", data(3, 61, 7), w), (61, 7)),
    "summed_vector": (lambda w: data(3, 261) @ w, (261,)),
    "kept_axis_of_heads": (lambda w: jnp.einsum("bthf,hfd->btd", data(2, 3, 7, 4), w), (7, 4, 5)),
    "kept_axis_between": (lambda w: jnp.einsum("bd,hdf->bhf", data(3, 5), w), (23, 5, 3)),
    "experts": (lambda w: jnp.einsum("ebd,ehd->beh", data(3, 2, 5), w), (3, 23, 5)),
    "kept_axis_within_rows": (lambda w: data(3, 7) @ w, (7, 200)),
    "kept_axis_of_a_kernel": (
        lambda w: jax.lax.conv_general_dilated(
            data(2, 5, 5, 1), w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (2, 2, 1, 200),
    ),
    "input_features_of_a_kernel": (
        lambda w: jax.lax.conv_general_dilated(
            data(2, 5, 5, 13), w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (2, 2, 13, 5),
    ),
    "cut_out": (lambda w: data(3, 5) @ w[3:50, 0].T, (61, 1, 5)),
}


@pytest.fixture
def small_budget(monkeypatch):
    monkeypatch.setattr(_thresholds, "BLOCK_SHARE", 0.0)
    monkeypatch.setattr(_thresholds, "TILE", 4)

    def of(entries):
        monkeypatch.setattr(_thresholds, "LEAST_BLOCK", entries)

    return of


def outputs(leaves, **how):
    def value_fn(leaves):
        return jnp.float32(0), {name: CONTRACTIONS[name][0](leaf) for name, leaf in leaves.items()}

    sampler = zojax.rademacher()
    directions, _ = sampler.draw((), jax.random.key(3), jnp.int32(0), 1, leaves)
    return zojax.evaluate(value_fn, leaves, directions, RADIUS, has_aux=True, **how)[1]


LEAVES = {name: data(*shape) for name, (_, shape) in CONTRACTIONS.items()}


def test_blocks_change_nothing(small_budget):
    small_budget(24)
    lazy = jax.jit(outputs, compiler_options={"xla_backend_optimization_level": 0})(LEAVES)
    dense = outputs(LEAVES, materialize=True)
    for name in CONTRACTIONS:
        np.testing.assert_allclose(lazy[name], dense[name], rtol=5e-6, atol=5e-6, err_msg=name)


@pytest.mark.parametrize("name", CONTRACTIONS)
def test_a_block_is_a_fraction_of_the_leaf(name, small_budget, drawn):
    """Summing over blocks waits for leaves of four budgets, and a block has at least one row."""
    small_budget(24)
    jax.eval_shape(outputs, {name: LEAVES[name]})
    assert drawn.fallbacks == []
    assert max(drawn.entries) <= 4 * 24 + 12 < LEAVES[name].size


def test_low_precision_sums_of_blocks_are_accumulated_in_float32(small_budget):
    """Else 427 terms of one bfloat16 sum would lose 1e-2 of it."""
    x, w = (data(3, 61, 7) ** 2).astype(jnp.bfloat16), (data(61, 7) ** 2).astype(jnp.bfloat16)
    small_budget(1)

    def loss(w):
        return jnp.float32(0), jnp.einsum("bij,ij->b", x, w)

    directions, _ = zojax.rademacher().draw((), jax.random.key(3), jnp.int32(0), 1, w)
    evaluated = [
        zojax.evaluate(loss, w, directions, RADIUS, has_aux=True, materialize=materialize)[1]
        for materialize in (False, True)
    ]
    np.testing.assert_allclose(*(np.float32(out) for out in evaluated), rtol=2**-7)
