"""How often the noise of an anisotropic step is drawn, and what the step holds."""

import functools
import math

import jax
import jax.numpy as jnp
import optax
from jax.extend.core import jaxprs_in_params
from test_step_memory import TOKENS, inference, scanned

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax.training import peak_bytes

# Of a generator that JAX draws by a primitive, which can be counted.
KEY = jax.random.key(0, impl="threefry4x32")
QUERIES = 3


def random_numbers(jaxpr):
    """How many numbers a program asks the generator for: loops in full, the dearest branch."""
    total = 0
    for eqn in jaxpr.eqns:
        inner = [random_numbers(inner) for inner in jaxprs_in_params(eqn.params)]
        if eqn.primitive.name == "random_bits":
            total += sum(math.prod(out.aval.shape) for out in eqn.outvars)
        elif eqn.primitive.name == "cond":
            total += max(inner)
        elif eqn.primitive.name == "scan":
            total += eqn.params["length"] * sum(inner)
        else:
            assert eqn.primitive.name != "while" or not any(inner)
            total += sum(inner)
    return total


def loss(params, x):
    """A stack that is scanned, a matrix by itself, and small vectors."""

    def layer(x, weights):
        kernel, bias = weights
        return jnp.tanh(x @ kernel + bias), None

    x, _ = jax.lax.scan(layer, x, (params["stack"], params["bias"]))
    return jnp.mean((x @ params["head"]) ** 2)


def drawn_in_a_step(**options):
    """Numbers drawn in a step of LOREN, and the number of weights."""
    params = {
        "bias": jnp.zeros((4, 64)),
        "head": jnp.zeros((64, 512)),
        "stack": jnp.zeros((4, 64, 64)),
    }
    tx = zojax.loren(1e-3, KEY, num_queries=QUERIES, **options)

    def step(params, state, x):
        return tx.update(None, state, params, value_fn=lambda params: loss(params, x))

    jaxpr = jax.make_jaxpr(step)(params, tx.init(params), jnp.ones((2, 64))).jaxpr
    return random_numbers(jaxpr), sum(leaf.size for leaf in params.values())


def test_noise_is_drawn_twice_a_query():
    """Where the loss meets it, and for the estimate and the score; besides, the first a."""
    numbers, size = drawn_in_a_step()
    first = 4 * 64 + 64 + 4 * 64
    assert numbers == 2 * QUERIES * size + first


def test_links_for_every_query_draw_once_more():
    numbers, size = drawn_in_a_step(momentum_per_query=True)
    assert 3 * QUERIES * size < numbers < 3.1 * QUERIES * size
    still, size = drawn_in_a_step(momentum_per_query=True, curvature_learning_rate=0)
    assert 2 * QUERIES * size < still < 2.1 * QUERIES * size


def test_a_step_holds_the_momentum_and_the_largest_leaf_besides_inference():
    """Weights and momentum, each once, and the sum over the queries of one leaf at a time."""
    params, loss = scanned()
    tx = zojax.loren(1e-6, jax.random.key(0), num_queries=QUERIES)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, tokens):
        updates, state = tx.update(None, state, params, value_fn=loss, tokens=tokens)
        return optax.apply_updates(params, updates), state

    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    program = step.lower(params, jax.eval_shape(tx.init, params), TOKENS).compile(
        BUFFERS_AS_USERS_HAVE
    )
    allowed = 1.05 + 1 + max(sizes) / sum(sizes)
    assert peak_bytes(program) <= allowed * inference(scanned)
