"""Updates of factored directions of small rank hold no leaf, by the compiler's own account."""

import jax
import pytest
from test_step_memory import KEY, LEARNING_RATE, WIDTH, inference, mezo, scanned

import zojax
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
