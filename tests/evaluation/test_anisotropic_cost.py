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


def random_words(jaxpr):
    """How many words a program asks the generator for: loops in full, the dearest branch."""
    total = 0
    for eqn in jaxpr.eqns:
        inner = [random_words(inner) for inner in jaxprs_in_params(eqn.params)]
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


# Of the matrices, in words: 8 bits a number.
MATRICES = (64 * 512 + 4 * 64 * 64) // 4
# Of the biases: those of 4 rows alone, two words for each number, and as one group.
ALONE, GROUPED = 2 * 4 * 64, 2 * 64


def drawn_in_a_step(**options):
    """Words drawn in a step of LOREN."""
    params = {
        "bias": jnp.zeros((4, 64)),
        "head": jnp.zeros((64, 512)),
        "stack": jnp.zeros((4, 64, 64)),
    }
    tx = zojax.loren(1e-3, KEY, num_queries=QUERIES, **options)

    def step(params, state, x):
        return tx.update(None, state, params, value_fn=lambda params: loss(params, x))

    jaxpr = jax.make_jaxpr(step)(params, tx.init(params), jnp.ones((2, 64))).jaxpr
    return random_words(jaxpr)


def test_noise_is_drawn_twice_a_query():
    """Where the loss meets it, and for the estimate and the score; besides, the first a.

    Of that, which has 32 bits a number, two rows are a group, and one alone takes as many words.
    """
    first = 4 * 64 + 2 * 64 + 4 * 64
    of_query = 2 * MATRICES + ALONE + GROUPED
    assert drawn_in_a_step() == QUERIES * of_query + first


def test_links_for_every_query_draw_once_more():
    most = QUERIES * MATRICES
    words = drawn_in_a_step(momentum_per_query=True)
    assert 3 * most < words < 3.2 * most
    still = drawn_in_a_step(momentum_per_query=True, curvature_learning_rate=0)
    assert 2 * most < still < 2.2 * most


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
