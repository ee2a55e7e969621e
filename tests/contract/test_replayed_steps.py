"""Steps that are made again from their losses have the bits of the steps that measured them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from contract_rows import METHODS
from contract_steps import build, quadratic

import zojax
from tests.compiling import AS_USERS_HAVE
from zojax.training import make_replay, make_step

STEPS = 5
# Besides all methods: calls that are accumulated, moments in memory, links that are told the value.
FURTHER = {
    "mezo accumulate": lambda key: zojax.mezo(
        optax.linear_schedule(0.02, 0.0, STEPS), key, accumulate=2, weight_decay=0.1, radius=0.25
    ),
    "mezo_adam moments": lambda key: zojax.mezo_adam(0.1, key, num_queries=3),
    "plateau": lambda key: zojax.chain(
        zojax.estimate_gradient(key, zojax.gaussian(), zojax.forward(0.1, 2)),
        optax.contrib.reduce_on_plateau(patience=1),
        optax.sgd(0.02, momentum=0.9),
    ),
}
MAKERS = {
    name: lambda key, row=row: build(row, key) for name, row in METHODS.items() if row.replays
} | FURTHER
QUICK = ("mezo", "plateau")
# In the third step the loss is not finite.
TARGETS = jnp.linspace(-1.0, 1.0, STEPS).at[2].set(jnp.nan)


def start():
    """Weights with bits of all sizes, in two dtypes, equally wide for methods that want that."""
    key = jax.random.key(7)
    half = jax.random.normal(key, (40, 3), jnp.bfloat16)
    return {"half": half, "w": jax.random.normal(key, (70, 3))}


def compiled(step, *args, **kwargs):
    """As outside of tests, since bits are what it is about."""
    return step.lower(*args, **kwargs).compile(AS_USERS_HAVE)


def words(tree):
    """Copies on the host, and the words of keys."""

    def copy(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.array(jax.random.key_data(leaf) if is_key else leaf)

    return jax.tree.map(copy, tree)


def assert_bits(ours, theirs):
    for (path, a), (_, b) in zip(*map(jax.tree.leaves_with_path, (ours, theirs)), strict=True):
        assert a.tobytes() == b.tobytes(), jax.tree_util.keystr(path)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MAKERS],
)
def test_every_step_is_made_again_bit_by_bit(name, key):
    """Params and state, also where a loss is not finite."""
    tx = MAKERS[name](key)
    params = start()
    state = jax.jit(tx.init)(params)
    step = compiled(make_step(tx, quadratic), params, state, target=TARGETS[0])
    history, losses = [words((params, state))], []
    for target in TARGETS:
        params, state, measured = step(params, state, target=target)
        history.append(words((params, state)))
        losses.append(measured["last_losses"])
    assert measured["num_nonfinite"] == 1

    params = start()
    state = jax.jit(tx.init)(params)
    replay = compiled(make_replay(tx), params, state, losses[0])
    for step, of_step in enumerate(losses, start=1):
        params, state = replay(params, state, of_step)
        assert_bits(words((params, state)), history[step])
    assert not np.array_equal(history[-1][0]["w"], history[0][0]["w"])
