"""Directions that are sums: evaluated lazily as any others, and never several at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from evaluated_models import MODELS, plain_loss, plain_params
from test_step_memory import HEADS, LENGTH, TOKENS, VOCAB, WIDTH, scanned, weights_and_temporaries

import zojax

RADIUS = jnp.array([0.2, -0.2])


@pytest.mark.parametrize(("model", "structure"), [("nnx", "whole_tensor"), ("opt", "row_blocks")])
def test_lazy_is_materialized(model, structure):
    """An embedding that is gathered and is the head, and layers in a list or stacked in a scan.

    rtol: the two sum in another order, a few hundred roundings of 6e-8.
    """
    params, loss = MODELS[model]()
    sampler = zojax.anisotropic(0.1, rate=0.0, structure=structure)

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def both(params):
        state = sampler.init(params)
        directions, _ = sampler.draw(state, jax.random.key(1), jnp.int32(0), 2, params)
        evaluate = functools.partial(zojax.evaluate, loss, params, directions, RADIUS)
        return evaluate(), evaluate(materialize=True)

    lazy, materialized = both(params)
    np.testing.assert_allclose(lazy, materialized, rtol=2e-5)
    assert np.ptp(materialized) > 1e-2  # the points are far apart: the comparison says something


def unrolled():
    shapes = {"width": WIDTH, "vocab": VOCAB, "depth": 3, "length": LENGTH}
    params = jax.eval_shape(lambda: plain_params(jax.random.key(0), **shapes))
    return params, functools.partial(plain_loss, heads=HEADS)


@pytest.mark.parametrize("model", [unrolled, scanned], ids=lambda model: model.__name__)
def test_a_step_holds_no_dense_directions(model):
    """Several queries, and what they learn, hold less than one layer more than gaussian ones.

    Those hold the sum of one leaf at a time: of a matrix, or of a stack of 6.
    """
    params, loss = model()
    key = jax.random.key(0)

    def held(sampler):
        tx = optax.chain(
            zojax.estimate_gradient(key, sampler, zojax.leave_one_out(1e-3, 3)),
            optax.scale_by_learning_rate(1e-6),
        )

        def step(params, state, tokens):
            updates, state = tx.update(None, state, params, value_fn=loss, tokens=tokens)
            return optax.apply_updates(params, updates), state

        state = jax.eval_shape(tx.init, params)
        return weights_and_temporaries(step, params, state, TOKENS, donated=(0, 1))

    layer = 4 * 12 * WIDTH**2
    assert held(zojax.anisotropic(0.1, rate=1e-3)) < held(zojax.gaussian()) + layer


@pytest.mark.parametrize("model", [unrolled, scanned], ids=lambda model: model.__name__)
def test_a_window_of_steps_holds_the_sum_of_one_leaf_at_a_time(model):
    """ZoAR adds up the directions of several steps, of no two leaves at once; noise is a byte."""
    params, loss = model()
    tx = zojax.zoar(1e-6, jax.random.key(0), num_queries=4, rule=optax.identity())

    def step(params, state, tokens):
        updates, state = tx.update(None, state, params, value_fn=loss, tokens=tokens)
        return optax.apply_updates(params, updates), state

    state = jax.eval_shape(tx.init, params)
    held = weights_and_temporaries(step, params, state, TOKENS, donated=(0, 1))
    weights, largest = (of(4 * leaf.size for leaf in jax.tree.leaves(params)) for of in (sum, max))
    layer = 4 * 12 * WIDTH**2
    assert held < weights + largest + largest // 4 + layer // 4
