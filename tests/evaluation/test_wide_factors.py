"""Wide factors meet many tokens multiplied out, and few through the rank, with the same values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evaluated_models import plain_loss, plain_params
from rule_cases import data

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE

RANK, MANY, FEW = 12, 300, 2
WIDTH, WIDE = 128, 160  # above what is drawn beforehand
RADII = jnp.array([0.25, -0.25])
WEIGHTS = {"matrix": (WIDTH, WIDE), "stack": (3, WIDTH, WIDTH), "experts": (2, WIDTH, WIDE)}
LOSSES = {
    "matrix": lambda w, tokens: data(tokens, WIDTH) @ w,
    "stack": lambda w, tokens: jax.lax.scan(lambda x, w: (x @ w, None), data(tokens, WIDTH), w)[0],
    "experts": lambda w, tokens: jnp.einsum("etd,edf->etf", data(2, tokens, WIDTH), w),
}


def outputs(name, w, tokens, sampler=None, **how):
    sampler = sampler or zojax.factored(RANK)
    directions, _ = sampler.draw(sampler.init(w), jax.random.key(0), jnp.int32(0), 2, w)
    return zojax.evaluate(
        lambda w: (jnp.float32(0), LOSSES[name](w, tokens)),
        *(w, directions, RADII),
        has_aux=True,
        **how,
    )[1]


@pytest.mark.parametrize("tokens", [MANY, FEW])
@pytest.mark.parametrize("name", WEIGHTS)
def test_lazy_is_materialized(name, tokens):
    """rtol, atol: sums of 128 products of unit size in another order."""
    w = data(*WEIGHTS[name]) / 10
    lazy, dense = jax.jit(
        lambda w: (outputs(name, w, tokens), outputs(name, w, tokens, materialize=True))
    )(w)
    np.testing.assert_allclose(lazy, dense, rtol=1e-4, atol=1e-4)
    assert np.abs(lazy[:, 0] - lazy[:, 1]).max() > 0.1  # the points are far apart


@pytest.mark.parametrize(
    ("name", "tokens", "dtype", "rank", "through"),
    [
        ("matrix", MANY, "float32", RANK, False),
        ("matrix", FEW, "float32", RANK, True),
        ("matrix", MANY, "bfloat16", RANK, True),  # the sum would be rounded
        ("matrix", MANY, "float32", 4, True),  # fuses with what reads the result
        ("experts", MANY, "float32", RANK, False),
        ("experts", FEW, "float32", RANK, True),
    ],
)
def test_what_goes_through_the_rank(name, tokens, dtype, rank, through):
    """Then the program has arrays of a number for each token and rank."""
    w = jax.ShapeDtypeStruct(WEIGHTS[name], dtype)
    program = jax.jit(lambda w: outputs(name, w, tokens, zojax.factored(rank))).lower(w)
    text = program.compile().as_text()
    shapes = (f"2,{tokens},{rank}]", f"{2 * tokens},{rank}]", f"{tokens},2,{rank}]")
    assert any(shape in text for shape in shapes) is through


def test_one_leaf_is_multiplied_out_at_a_time():
    """Of 12 layers in a list no more memory than of 4, but for the factors themselves."""
    sampler, matrix = zojax.factored(RANK), 4 * WIDTH * 4 * WIDTH
    tokens = jnp.zeros((8, 64), jnp.int32)

    def held(depth):
        params = jax.eval_shape(
            lambda: plain_params(jax.random.key(0), width=WIDTH, vocab=64, depth=depth, length=64)
        )

        def draw(params):
            return sampler.draw(sampler.init(params), jax.random.key(0), jnp.int32(0), 1, params)[0]

        def losses(params):
            return zojax.evaluate(
                lambda params: plain_loss(params, tokens, heads=4), params, draw(params), RADII
            )

        factors = [r for r in jax.eval_shape(draw, params) if isinstance(r, zojax.LowRank)]
        temporaries = (
            jax.jit(losses)
            .lower(params)
            .compile(BUFFERS_AS_USERS_HAVE)
            .memory_analysis()
            .temp_size_in_bytes
        )
        return temporaries - 4 * sum(r.left.size + r.right.size for r in factors)

    assert held(12) - held(4) < matrix  # those of 8 layers would take 24
