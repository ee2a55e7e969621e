"""What is done with the layers of a list is compiled once, and not for each of them.

XLA on a CPU compiles loops that are alike once. That they are alike is seen in the program: the
loops of twelve layers have about as many different bodies as those of six.
"""

import re

import jax
import jax.numpy as jnp
import optax
import pytest

import zojax

WIDTH = 192  # of three whole groups of 64 rows, so that all layers are drawn side by side


def _loss(params, x):
    for layer in params["layers"]:
        x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
    return jnp.mean(x)


def _step(sampler, layers):
    """A compiled step of MeZO, as text."""
    layer = {"kernel": jnp.ones((WIDTH, WIDTH)), "bias": jnp.ones(WIDTH)}
    params = {"layers": [layer] * layers}
    tx = zojax.mezo(1e-3, jax.random.key(0), sampler=sampler)

    def step(params, state, x):
        updates, state = tx.update(None, state, params, value_fn=_loss, x=x)
        return optax.apply_updates(params, updates), state

    run = jax.jit(step, donate_argnums=(0, 1))
    return run.lower(params, tx.init(params), jnp.ones((8, WIDTH))).compile().as_text()


def _bodies(program):
    """The different bodies of the loops of a program."""
    loops = set(re.findall(r"kind=kLoop, calls=%([\w.\-]+)", program))
    bodies = re.findall(r"^%([\w.\-]+) \(.*?\{\n(.*?)^\}", program, re.M | re.S)
    return {_without_names(body) for name, body in bodies if name in loops}


def _without_names(body):
    body = re.sub(r", (metadata=\{[^}]*\}|backend_config=\{.*\})", "", body)
    names = {}
    return re.sub(r"%[\w.\-]+", lambda name: names.setdefault(name[0], f"%{len(names)}"), body)


@pytest.mark.parametrize(
    "sampler",
    [zojax.gaussian(), zojax.rademacher(), zojax.factored(1)],
    ids=["gaussian", "rademacher", "rank 1"],
)
def test_more_layers_are_no_more_loops_to_compile(sampler):
    six, twelve = (_step(sampler, layers) for layers in (6, 12))
    assert twelve.count("kind=kLoop") >= six.count("kind=kLoop") + 6
    # Shapes that go with the number of layers may make a loop or two differ, but not one a layer.
    assert len(_bodies(twelve)) <= len(_bodies(six)) + 2


def test_outside_jit_no_conditional_is_compiled_for_a_draw(caplog):
    """Under jit a draw waits for data by one; what runs at once has nothing to wait for."""
    params = {"layers": [{"kernel": jnp.ones((WIDTH, WIDTH)), "bias": jnp.ones(WIDTH)}]}
    directions, _ = zojax.gaussian().draw((), jax.random.key(1), jnp.int32(0), 1, params)
    with jax.log_compiles():
        zojax.evaluate(lambda params: _loss(params, jnp.ones((8, WIDTH))), params, directions, 0.1)
    compiled = re.findall(r"Compiling (jit\(.*?\)) ", caplog.text)
    assert compiled
    assert "jit(cond)" not in compiled
