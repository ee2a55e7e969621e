"""Points along one direction share its noise: the generator runs once for all of them."""

import jax
import jax.numpy as jnp
import pytest
from evaluated_models import MODELS
from jax.extend.core import jaxprs_in_params

import zojax

# Of a generator that JAX draws by a primitive, which can be counted.
KEY = jax.random.key(0, impl="threefry4x32")


def random_numbers(jaxpr):
    """How many numbers a program asks the generator for, over all branches and calls."""
    total = 0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "random_bits":
            total += sum(out.aval.size for out in eqn.outvars)
        for inner in jaxprs_in_params(eqn.params):
            total += random_numbers(inner)
    return total


def program(model, sampler, radius):
    params, loss = MODELS[model]()

    def losses(params):
        state = sampler.init(params)
        directions, _ = sampler.draw(state, KEY, jnp.int32(0), 1, params)
        return zojax.evaluate(loss, params, directions, radius)

    return jax.make_jaxpr(losses)(params).jaxpr


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("law", [zojax.gaussian, zojax.rademacher], ids=lambda law: law.__name__)
def test_two_points_take_the_random_numbers_of_one(model, law):
    one = random_numbers(program(model, law(), jnp.array([0.1])))
    two = random_numbers(program(model, law(), jnp.array([0.1, -0.1])))
    assert one == two > 0
