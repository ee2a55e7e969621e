"""The lazy evaluation of a model is the materialized one, for every law and every kind of model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evaluated_models import MODELS

import zojax

LAWS = {
    "gaussian": zojax.gaussian(),
    "rademacher": zojax.rademacher(),
    "sphere": zojax.sphere(),
    "coordinate": zojax.coordinate(),
    "rank_1": zojax.factored(1),
    "subspace": zojax.factored(
        2, left="haar", core="gaussian", right="haar", left_period=9, right_period=9
    ),
}
# Layers of a list are programs one after another: two of them are compiled where leaves of equal
# shape are drawn together (gaussian) or apart (rank_1), else one.
LISTS, TWICE = ("plain", "nnx"), ("gaussian", "rank_1")
# Their recipes are of the kinds that other laws have: dense ones, and factors of rank 1.
LIKE_OTHERS = ("sphere", "coordinate")
MODELS_AND_LAWS = [
    (model, law) for model in MODELS for law in LAWS if model == "plain" or law not in LIKE_OTHERS
]
RADIUS = jnp.array([0.2, -0.2])
# The two sum in another order: a few hundred roundings of 6e-8, each relative to a loss of order 1.
RTOL = 2e-5

quickly_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def draw(sampler, params, num_queries, seed=1):
    key = jax.random.key(seed)
    return sampler.draw(sampler.init(params), key, jnp.int32(0), num_queries, params)[0]


@pytest.mark.parametrize(("model", "law"), MODELS_AND_LAWS)
def test_lazy_is_materialized(model, law):
    """Three queries with two points each."""
    depth = {"depth": 1} if model in LISTS and law not in TWICE else {}
    params, loss = MODELS[model](**depth)

    @quickly_compiled
    def both(params):
        directions = draw(LAWS[law], params, 3)
        evaluate = functools.partial(zojax.evaluate, loss, params, directions, RADIUS)
        return evaluate(), evaluate(materialize=True)

    lazy, materialized = both(params)
    assert lazy.shape == (3, 2)
    np.testing.assert_allclose(lazy, materialized, rtol=RTOL)
    assert np.ptp(materialized) > 1e-2  # the points are far apart: the comparison says something


@pytest.mark.parametrize("law", ["rademacher", "rank_1"])
def test_every_chunk_size_and_radius_shape_gives_the_same_losses(law):
    params, loss = MODELS["plain"]()
    params = {**params, "layers": params["layers"][:1]}

    @quickly_compiled
    def all_ways(params):
        directions = draw(LAWS[law], params, 3)
        evaluate = functools.partial(zojax.evaluate, loss, params, directions)
        pairs = [evaluate(RADIUS, chunk_size=size) for size in (1, 2, 3)]
        return evaluate(RADIUS, materialize=True), pairs, evaluate(RADIUS[0], chunk_size=3)

    materialized, pairs, singles = all_ways(params)
    for pair in pairs:
        np.testing.assert_allclose(pair, materialized, rtol=RTOL)
    assert singles.shape == (3,)
    np.testing.assert_allclose(singles, materialized[:, 0], rtol=RTOL)


@pytest.mark.parametrize("law", ["rademacher", "subspace"])
def test_an_outer_vmap_over_params_and_keys(law):
    """As in a sweep over seeds: nothing is shared between the lanes by mistake."""
    params, loss = MODELS["plain"]()
    params = {**params, "layers": params["layers"][:1]}
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 1.1 * leaf]), params)

    def both(params, seed):
        directions = draw(LAWS[law], params, 1, seed)
        evaluate = functools.partial(zojax.evaluate, loss, params, directions, RADIUS)
        return evaluate(), evaluate(materialize=True)

    lazy, materialized = quickly_compiled(jax.vmap(both))(stacked, jnp.array([1, 2]))
    assert lazy.shape == (2, 1, 2)
    np.testing.assert_allclose(lazy, materialized, rtol=RTOL)
    assert np.ptp(materialized, axis=0).min() > 1e-2
