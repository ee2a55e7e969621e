"""Updates of factored directions hold a leaf at the most, and bases exist once.

By the compiler's own account.
"""

import jax
import jax.numpy as jnp
import optax
import pytest
from test_step_memory import KEY, LEARNING_RATE, WIDTH, inference, mezo, scanned

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax import _thresholds

MATRIX = 4 * 4 * WIDTH**2  # bytes of the largest one of a layer


def held(method):
    """Weights and temporaries of a step with the law that the method has."""
    params, loss = scanned()
    return mezo(params, loss, None, lambda *args, sampler, **how: method(*args, **how))


def kept(method):
    params, _ = scanned()
    state = jax.eval_shape(method(LEARNING_RATE, KEY).init, params)
    return sum(leaf.size * 4 for leaf in jax.tree.leaves(state))


def bases(*args, rank=12, **how):
    sampler = zojax.factored(
        rank, left="haar", core="gaussian", right="haar", left_period=9, right_period=9
    )
    return zojax.mezo(*args, sampler=sampler, **how)


@pytest.mark.parametrize("method", [zojax.eggroll, bases], ids=["population", "bases"])
def test_up_to_rank_16_a_large_leaf_has_no_buffer_for_its_update(method, monkeypatch):
    """Which would be a third of the weights; the leaves of this model are large enough here."""
    monkeypatch.setattr(_thresholds, "LARGE_LEAF", 1 << 19)
    assert held(method) < inference(scanned) + kept(method) + 4 * MATRIX


def test_sums_of_several_queries_hold_the_words_of_one_leaf(monkeypatch):
    """Eight signs of an entry are a byte: those of all leaves would be a quarter of the weights."""
    monkeypatch.setattr(_thresholds, "LARGE_LEAF", 1 << 19)
    assert held(zojax.fzoo) < inference(scanned) + 4 * MATRIX


def test_bases_that_losses_choose_are_written_over_those_before():
    """P-GAP makes those of six matrices one after another, with no more than one set of bases."""
    params = [jax.ShapeDtypeStruct((256, 256), jnp.float32)] * 6
    tx = zojax.p_gap(LEARNING_RATE, KEY, rank=64, probes=2)
    state = jax.eval_shape(tx.init, params)

    def step(params, state):
        loss = lambda params: sum(jnp.sum(w[:8, :8] ** 2) for w in params)  # noqa: E731
        updates, state = tx.update(None, state, params, value_fn=loss)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(params, state)
    temporaries = compiled.compile(BUFFERS_AS_USERS_HAVE).memory_analysis().temp_size_in_bytes
    basis, matrix = 4 * 256 * 64, 4 * 256**2
    # Left bases times cores of all, and of one the estimate and what its bases are made with.
    assert temporaries < 6 * basis + matrix + 4 * basis
