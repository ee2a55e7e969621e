"""What samplers refuse, and what the message says."""

import jax
import jax.numpy as jnp
import pytest

import zojax

MATRIX = {"w": jnp.zeros((3, 4))}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, r"rank must be an integer of at least 1, got 0"),
        ({"rank": 1.5}, r"rank must be an integer of at least 1, got 1.5"),
        ({"rank": True}, r"rank must be an integer of at least 1, got True"),
        ({"rank": 1, "left_period": -1}, r"left_period must be .* at least 0, got -1"),
        ({"rank": 1, "right_period": 0.5}, r"right_period must be .* at least 0, got 0.5"),
        ({"rank": 1, "scale": 0.0}, r"scale must be a finite number above 0, got 0.0"),
        ({"rank": 1, "scale": float("inf")}, r"scale must be a finite number above 0, got inf"),
        ({"rank": 1, "left": "normal"}, r"left must be one of gaussian, haar.*got 'normal'"),
        ({"rank": 1, "right": "svd"}, r"right must be one of gaussian, haar.*got 'svd'"),
        ({"rank": 1, "core": "haar"}, r"core must be one of identity.*got 'haar'"),
        ({"rank": 1, "left": "identity"}, r"left='identity'.*leaves nothing.*core='gaussian'"),
        (
            {"rank": 1, "left": "identity", "core": "gaussian", "right": "identity"},
            r"leaves nothing factored.*zojax\.gaussian\(\)",
        ),
    ],
)
def test_factored_refuses_what_it_cannot_draw(arguments, message):
    with pytest.raises(ValueError, match=message):
        zojax.factored(**arguments)


def test_a_rank_above_every_matrix_is_refused():
    with pytest.raises(ValueError, match=r"rank must be at most 3, .*largest matrix.*got 4"):
        zojax.factored(4).init(MATRIX)


@pytest.mark.parametrize(
    "make",
    [
        lambda bits: zojax.gaussian(bits=bits),
        lambda bits: zojax.sphere(bits=bits),
        lambda bits: zojax.factored(1, bits=bits),
        lambda bits: zojax.anisotropic(0.1, rate=0.1, bits=bits),
        lambda bits: zojax.loren(0.1, jax.random.key(0), bits=bits),
        lambda bits: zojax.zo_muon(0.1, jax.random.key(0), bits=bits),
    ],
    ids=["gaussian", "sphere", "factored", "anisotropic", "loren", "zo_muon"],
)
def test_a_number_of_bits_that_there_is_not_is_refused(make):
    with pytest.raises(ValueError, match="bits must be one of 8, 16, 32, got 4"):
        make(4)
    # As optax.inject_hyperparams hands over what is not named in its static_args.
    with pytest.raises(ValueError, match=r"bits must be one of .*name it in static_args"):
        make(jnp.array(8))
