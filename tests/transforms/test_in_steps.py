"""A link that acts in some steps is optax's, without the buffers of its conditional."""

import chex
import jax
import jax.numpy as jnp
import optax

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax import transforms


def every_third(step):
    return step % 3 == 2


def test_it_acts_and_counts_in_those_steps_alone():
    """A schedule inside counts the steps in which it acts."""
    link = optax.scale_by_schedule(lambda count: 10.0 ** (count + 1))
    expected = optax.conditionally_transform(link, every_third)
    tx = transforms.in_steps(link, every_third)
    x = {"w": jnp.arange(3.0)}
    state = theirs = tx.init(x)
    chex.assert_trees_all_equal(state, expected.init(x))
    for _ in range(7):
        updates, state = tx.update(x, state)
        updates_of_optax, theirs = expected.update(x, theirs)
        chex.assert_trees_all_equal((updates, state), (updates_of_optax, theirs))


def test_updates_need_no_buffers(key):
    """A step of DiZO that has to choose holds one of 12 leaves at a time beside params."""
    x = {str(i): jnp.ones((192, 192)) for i in range(12)}

    def value(x, h):
        for leaf in x.values():
            h = jnp.tanh(h @ leaf)
        return jnp.sum(h)

    tx = zojax.dizo(0.02, key, projected=lambda path, leaf: "11" in str(path))

    def step(x, state, h):
        updates, state = tx.update(None, state, x, value_fn=value, h=h)
        return optax.apply_updates(x, updates), state

    step = jax.jit(step, donate_argnums=(0, 1))
    program = step.lower(x, tx.init(x), jnp.ones((1, 192))).compile(BUFFERS_AS_USERS_HAVE)
    weights = sum(leaf.nbytes for leaf in x.values())
    assert program.memory_analysis().temp_size_in_bytes < 0.4 * weights
