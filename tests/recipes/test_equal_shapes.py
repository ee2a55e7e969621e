"""Leaves of one shape, drawn side by side for the update, have the values of their own draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax import _thresholds
from zojax.recipes import _equal_shapes


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("law", [zojax.gaussian, zojax.rademacher])
def test_the_sum_is_that_of_leaves_drawn_alone(monkeypatch, law, dtype):
    monkeypatch.setattr(_thresholds, "LEAST_SMALL_LEAVES", 0)
    params = {f"layer_{i}": jnp.zeros((16, 8), dtype) for i in range(100)}
    params["wide"] = jnp.zeros((64, 8), dtype)
    sampler = law()
    key = jax.random.key(3)
    directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(1), 1, params)
    one = jax.tree.map(lambda array: array[0], directions)
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    groups = _equal_shapes.group_equal_shapes(dict(enumerate(one)), shapes)
    # 416 words are drawn at a time, a 32nd of 13,312 entries; the 16 rows of a leaf are two groups,
    # or one, of 8 columns with two words each.
    first = {zojax.gaussian: [13, 13], zojax.rademacher: [26, 26, 26, 22]}[law]
    assert [len(group) for group in groups][: len(first)] == first
    assert not any(shapes.index((64, 8)) in group for group in groups)
    found = zojax.combine(jnp.array([0.5]), directions, params)
    expected = zojax.materialize(one, params)
    for name, leaf in found.items():
        assert leaf.dtype == dtype
        np.testing.assert_array_equal(leaf, (0.5 * expected[name]).astype(dtype), err_msg=name)
