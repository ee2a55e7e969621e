"""Which changes are lost in rounding, by numpy's own spacing and by adding them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zojax
from zojax.training import lost_changes, make_update_sizes


def test_a_lost_change_is_named_with_its_numbers():
    params = {
        "norm": {"scale": jnp.ones(8, jnp.bfloat16)},
        "kernel": jnp.full((4, 4), -0.02, jnp.bfloat16),
        "bias": jnp.zeros(4, jnp.bfloat16),
        "single": jnp.ones(3),
    }
    (lost,) = lost_changes(params, 1e-3)
    assert lost.path == "norm.scale"
    assert lost.dtype == jnp.bfloat16
    assert (lost.weight, lost.half_spacing, lost.change) == (1.0, 2**-8, pytest.approx(1e-3))
    assert [one.path for one in lost_changes(params, 2.0**-15)] == ["kernel", "norm.scale"]
    assert [one.path for one in lost_changes(params, 1e-30)] == ["kernel", "norm.scale", "single"]
    # One for each leaf, in the order of the leaves; 0 is not meant to change anything.
    each = np.array([1e-3, 1e-3, 0.0, 1e-30])
    assert [one.path for one in lost_changes(params, each)] == ["single"]


@settings(deadline=None)
@given(
    weight=st.floats(2.0**-10, 1e4),
    share=st.sampled_from([0.49, 1.01]),
    dtype=st.sampled_from([jnp.bfloat16, jnp.float16, jnp.float32]),
    sign=st.sampled_from([-1, 1]),
)
def test_what_is_called_lost_does_not_change_a_weight(weight, share, dtype, sign):
    """Below half the spacing nothing moves away from 0; what is beyond all of it does."""
    x = jnp.asarray(weight, dtype)
    spacing = float(np.spacing(np.asarray(x).astype(dtype)))
    change = share * spacing
    lost = bool(lost_changes({"w": x[None] * sign}, change))
    assert lost == (share < 0.5)
    moved = optax.apply_updates(x * sign, jnp.float32(sign * change)) != x * sign
    if dtype != jnp.float32:  # there the sum itself is rounded
        assert bool(moved) != lost


def test_sizes_are_those_of_the_update_that_a_step_makes(key):
    """By leaf, over the entries that are not 0: coordinate descent moves one alone."""

    def loss(x, target):
        return jnp.sum((x["w"] - target) ** 2) + jnp.sum(x["b"])

    params = {"b": jnp.ones(3), "w": jnp.ones((4, 5))}
    for tx in (zojax.mezo(1e-2, key), zojax.zo_sgd(1e-2, key, sampler=zojax.coordinate())):
        state = tx.init(params)
        sizes = make_update_sizes(tx, loss)(params, state, target=0.5)
        update = jax.jit(lambda x, s, tx=tx: tx.update(None, s, x, value_fn=loss, target=0.5)[0])
        updates = update(params, state)
        for size, leaf in zip(sizes, (updates["b"], updates["w"]), strict=True):
            moved = np.abs(leaf[leaf != 0])
            assert float(size) == pytest.approx(moved.mean() if moved.size else 0.0)
