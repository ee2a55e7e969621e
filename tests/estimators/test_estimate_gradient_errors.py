"""What the estimating link refuses, and what the message says."""

import jax
import jax.numpy as jnp
import optax
import pytest

import zojax

X = {"w": jnp.ones((2, 3))}


def total(x):
    return jnp.sum(x["w"])


@pytest.fixture
def link(key):
    return zojax.estimate_gradient(key, zojax.gaussian(), zojax.forward())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"params": None, "value_fn": total}, r"needs `params`: call update\(None, state, params"),
        ({"params": X}, r"needs `value_fn`: call update\(None, state, params, value_fn=loss"),
        ({"params": X, "value_fn": None}, r"needs `value_fn`"),
    ],
)
def test_missing_params_or_value_fn(link, arguments, message):
    with pytest.raises(ValueError, match=message):
        link.update(None, link.init(X), **arguments)


@pytest.mark.parametrize("make", [zojax.central, zojax.forward])
@pytest.mark.parametrize(
    ("value_fn", "message"),
    [
        (lambda x: x["w"], r"one floating-point number.*float32 of shape \(2, 3\).*mean"),
        (lambda x: jnp.sum(x["w"])[None], r"shape \(1,\).*mean"),
        (lambda x: jnp.argmax(x["w"]), r"one floating-point number, shape \(\); got int32"),
        (lambda x: None, r"one floating-point number.*got NoneType"),
        (lambda x: (total(x), 1.0), r"returned a tuple; pass has_aux=True"),
        (lambda x, labels: total(x), r"value_fn needs labels: pass them by name.*labels="),
    ],
    ids=["an array", "one axis", "an integer", "nothing", "a tuple", "an argument missing"],
)
def test_a_value_fn_that_gives_no_loss(make, value_fn, message, key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), make())
    with pytest.raises(TypeError, match=message):
        jax.eval_shape(lambda: tx.update(None, tx.init(X), X, value_fn=value_fn))


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (jnp.arange(3), r"params\['n'\] is int32.*only floating-point.*nnx\.Param"),
        (jnp.array([True]), r"params\['n'\] is bool"),
        (jnp.ones(2, jnp.complex64), r"params\['n'\] is complex64"),
        (1.0, r"params\['n'\] is float"),
    ],
)
def test_leaves_that_cannot_be_perturbed(link, leaf, message):
    params = {**X, "n": leaf}
    with pytest.raises(TypeError, match=message):
        link.init(params)
    with pytest.raises(TypeError, match=message):
        link.update(None, link.init(X), params, value_fn=total)


def test_inside_masked_it_names_the_remedy(link):
    params = {**X, "frozen": jnp.ones(2)}
    mask = {"w": True, "frozen": False}
    with pytest.raises(TypeError, match=r"optax\.masked or optax\.partition.*as an argument.*nnx"):
        optax.masked(link, mask).init(params)


def test_inside_partition_it_names_the_remedy(link):
    params = {**X, "frozen": jnp.ones(2)}
    labels = {"w": "train", "frozen": "freeze"}
    tx = optax.partition({"train": link, "freeze": optax.set_to_zero()}, labels)
    with pytest.raises(TypeError, match=r"optax\.masked or optax\.partition.*as an argument.*nnx"):
        tx.init(params)


@pytest.mark.parametrize("chunk_size", [0, -1, 1.5])
def test_a_chunk_holds_at_least_one_query(key, chunk_size):
    with pytest.raises(ValueError, match=rf"chunk_size must be .* at least 1, got {chunk_size}"):
        zojax.estimate_gradient(key, zojax.gaussian(), zojax.central(), chunk_size=chunk_size)
