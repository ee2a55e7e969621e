"""Noise less its part along a vector: with l made where it is drawn, or beforehand, it is one z."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_parts_of_leaves import LENGTHS, VIEWS, parts

import zojax
from zojax import _thresholds
from zojax.noise import gaussian_law
from zojax.recipes import Deflated, sum_deflated
from zojax.samplers.anisotropic._root import Root

FAST = {"xla_backend_optimization_level": 0}
CASES = [(view, structure) for view in VIEWS for structure in ("row_blocks", "whole_tensor")]
COEFFICIENTS = jnp.array([0.7, -1.3, 2.9])


def recipes(key, view, structure, shape=LENGTHS):
    """One direction as `Deflated`, and as the sum of its noise and factors."""
    noise_key, key = jax.random.split(key)
    a = jax.random.normal(key, [n for axis, n in enumerate(shape) if axis not in view.rows])
    noise = zojax.Dense.of(shape, noise_key, gaussian_law(8))
    # A budget below a quarter of a matrix (all in a layer of a stack) forbids to hold one.
    roots = (Root(0.3, structure == "whole_tensor", budget) for budget in (1 << 16, 1))
    return tuple(root.apply(noise, shape, view, a, a) for root in roots)


@pytest.mark.parametrize(("view", "structure"), CASES)
def test_it_is_the_sum_of_its_noise_and_factors_in_every_part(view, structure, key):
    """Where a part has all that l needs it is a recipe, and else None; float32."""
    view = VIEWS[view]
    bent, factored = recipes(key, view, structure)
    assert isinstance(bent, Deflated)
    assert isinstance(factored, zojax.Sum)

    @functools.partial(jax.jit, compiler_options=FAST)
    def run(bent, factored):
        whole = factored.draw(LENGTHS)
        return {what: pair for what, *pair in parts(bent, whole)}

    compared = run(bent, factored)
    assert {"taken 0", "taken 1", "drawn late", "transpose (2, 0, 1)"} <= compared.keys()
    assert ("unstack" in compared) == (0 not in bent.summed)
    for what, (part, whole) in compared.items():
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5, err_msg=what)
    summed = {*view.columns, *(view.rows if structure == "whole_tensor" else ())}
    for axis in range(3):
        cut = bent.slice(axis, 0, 1)
        assert (cut is None) == (not bent.grains[axis]) == (axis in summed)


@pytest.mark.parametrize(
    ("view", "structure", "count"), [*((*case, 3) for case in CASES), (*CASES[0], 1)]
)
def test_one_draw_gives_the_sum_and_the_products(view, structure, count, key, monkeypatch):
    """Σ c z and Σ c Σ l z by the sum of noise and factors; stacks of 5 in blocks of 2; float32."""
    view, shape = VIEWS[view], (5, *LENGTHS[1:])
    monkeypatch.setattr(_thresholds, "DEFLATED_BLOCK", 2 * 3 * 6)
    coefficients = COEFFICIENTS[:count]

    @functools.partial(jax.jit, compiler_options=FAST)
    def run(key):
        keys = jax.random.split(key, count)
        bent, factored = jax.vmap(lambda key: recipes(key, view, structure, shape))(keys)
        z = jax.vmap(lambda one: one.draw(shape))(factored)
        left = jax.vmap(lambda one: jnp.expand_dims(one.parts[1].left[..., 0], view.columns))
        products = jnp.sum(left(factored) * z, [1 + axis for axis in view.rows], keepdims=True)
        expected = [jnp.tensordot(coefficients, terms, 1) for terms in (z, products)]
        return sum_deflated(coefficients, bent, shape, jnp.float32, coefficients), expected

    for got, expected in zip(*run(key), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
