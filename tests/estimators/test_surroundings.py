"""What stands around an estimate, or comes into it, and cannot do what it seems to: it is said."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import zojax

PARAMS = {"w": jnp.array([1.0, -2.0, 0.5])}


def loss(params, x=1.0):
    return jnp.sum((params["w"] - x) ** 2)


def update(tx, params=PARAMS, value_fn=loss, **kwargs):
    incoming = zojax.no_updates(params)
    return tx.update(incoming, tx.init(params), params, value_fn=value_fn, **kwargs)


def test_multi_steps_is_told_from_accumulate(key):
    """It would evaluate all parts of a batch, and use the last one."""
    tx = optax.MultiSteps(zojax.mezo(0.1, key), 2)
    with pytest.warns(UserWarning, match="Take accumulate=k"):
        update(tx)


@pytest.mark.parametrize("link", [optax.clip(1.0), optax.add_decayed_weights(0.1)])
def test_links_before_an_estimate_are_warned_about(link, key):
    with pytest.warns(UserWarning, match="links before zojax.estimate_gradient"):
        update(optax.chain(link, zojax.mezo(0.1, key)))


def test_links_behind_it_are_not(key):
    estimate = zojax.estimate_gradient(key, zojax.gaussian(), zojax.central())
    behind = optax.MultiSteps(optax.sgd(0.1), 2).gradient_transformation()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        update(optax.chain(estimate, optax.clip(1.0), behind))
        update(optax.named_chain(("estimate", estimate), ("rate", optax.scale(-0.1))))
        update(optax.apply_if_finite(zojax.mezo(0.1, key), 3))


def test_no_updates_are_zeros_like_params():
    params = {"a": jnp.ones((2, 3), jnp.bfloat16), "b": jnp.ones(())}
    zeros = zojax.no_updates(params)
    for leaf, zero in zip(jax.tree.leaves(params), jax.tree.leaves(zeros), strict=True):
        assert (zero.shape, zero.dtype) == (leaf.shape, leaf.dtype)
        assert not np.any(zero)


@pytest.mark.parametrize("name", ["params", "updates", "state", "value_fn"])
def test_arguments_that_update_takes_itself_are_named(name, key):
    namespace = {}
    exec(f"def clashing(weights, {name}): return 0.0", namespace)
    with pytest.raises(TypeError, match=f"value_fn has an argument named '{name}'"):
        update(zojax.mezo(0.1, key), value_fn=namespace["clashing"])


class Normalized(nnx.Module):
    """A layer whose averages move with every batch."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(3, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.linear(x))


def test_modules_that_change_in_the_loss_are_merged_as_copies(key):
    graphdef, params, state = nnx.split(Normalized(nnx.Rngs(0)), nnx.Param, ...)
    module = nnx.merge(graphdef, params, state)
    x = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)
    tx = zojax.mezo(0.1, key)

    def changes_what_is_outside(params):
        nnx.update(module, params)
        return jnp.sum(module(x) ** 2)

    def changes_a_copy(params):
        return jnp.sum(nnx.merge(graphdef, params, state, copy=True)(x) ** 2)

    with pytest.raises(TypeError, match="copy=True"):
        tx.update(None, tx.init(params), params, value_fn=changes_what_is_outside)
    _, after = tx.update(None, tx.init(params), params, value_fn=changes_a_copy)
    assert np.isfinite(optax.tree.get(after, "value"))


def test_a_loss_that_cannot_read_a_vector_is_told_of_flatten(key):
    """`optax.flatten` gives the method one vector in the place of params."""
    tx = optax.flatten(zojax.mezo(0.1, key))
    with pytest.raises(TypeError) as error:
        update(tx)
    assert any("optax.flatten" in note for note in error.value.__notes__)


@pytest.mark.parametrize("scale", [1e38, 3e38])
def test_large_losses_have_a_finite_mean(scale, key):
    """Their sum is beyond the largest number of float32, 3.4e38; their mean is not."""
    tx = zojax.zo_sgd(1e-3, key, num_queries=10)
    updates, state = update(tx, value_fn=lambda params: scale + jnp.sum(params["w"]))
    assert np.isfinite(optax.tree.get(state, "value"))
    assert np.all(np.isfinite(updates["w"]))
