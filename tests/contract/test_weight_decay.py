"""Every method takes weight decay, which is decoupled: x ← x - η (u + λ x)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contract_rows import METHODS
from contract_steps import SINGLE, quadratic

LEARNING_RATE, DECAY = 0.5, 0.25
TARGET = jnp.float32(0.75)


def first_updates(row, **decay):
    options = {name: value for name, value in row.options.items() if "weight_decay" not in name}
    options.pop("inner", None)  # has decay of its own
    options.pop("box", None)  # is a place that weights leave when they decay
    tx = row.make(LEARNING_RATE, jax.random.key(0), **options, **decay)
    return tx.update(
        None, tx.init(SINGLE), SINGLE, value_fn=lambda params: quadratic(params, TARGET)
    )[0]


@pytest.mark.parametrize("name", METHODS)
def test_a_step_is_that_without_decay_and_a_share_of_the_weights_it_moves(name):
    row = METHODS[name]
    plain = jax.jit(lambda: first_updates(row, weight_decay=0.0))()
    decayed = jax.jit(lambda: first_updates(row, weight_decay=DECAY))()
    shares = [
        (decayed_leaf - leaf, -LEARNING_RATE * DECAY * x, leaf != 0)
        for decayed_leaf, leaf, x in zip(
            *map(jax.tree.leaves, (decayed, plain, SINGLE)), strict=True
        )
    ]
    # Of blocks and atoms, those at rest stay as they are.
    assert any(np.any(moved) for *_, moved in shares)
    for share, expected, moved in shares:
        scale = np.abs(expected).max()
        np.testing.assert_allclose(share, np.where(moved, expected, 0.0), atol=1e-5 * scale)
