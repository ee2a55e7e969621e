"""Central and forward differences: exact where they should be, biased as they should be."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

SHAPES = {"a": (3,), "b": (2, 2)}
SIZE = 7


def tree(seed):
    """Fixed float64 numbers in the shapes of the params."""
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}


def inner(a, b):
    return optax.tree.vdot(a, b)


def quadratic(x):
    """x·Hx/2 + g·x + 1 with a full, indefinite H."""
    flat = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(x)])
    h = np.random.default_rng(7).normal(size=(SIZE, SIZE))
    return flat @ (h + h.T) @ flat / 2 + inner(tree(8), x) + 1


def cubic(x):
    return sum(jnp.sum(leaf**3) for leaf in jax.tree.leaves(x))


def estimate(estimator, loss, x, key):
    """(the estimate, the one direction that it was measured along)."""
    tx = zojax.estimate_gradient(key, zojax.gaussian(), estimator)
    updates, _ = tx.update(None, tx.init(x), x, value_fn=loss)
    directions, _ = zojax.gaussian().draw((), key, jnp.int32(0), 1, x)
    z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), x)
    return updates, optax.tree.cast(z, jnp.float64)


def slope_error(make, loss, x, key):
    """radius -> the estimate's coefficient minus the directional derivative."""

    @jax.jit
    def error(radius):
        updates, z = estimate(make(radius), loss, x, key)
        return inner(updates, z) / inner(z, z) - inner(jax.grad(loss)(x), z)

    return error


@pytest.mark.parametrize("radius", [0.7, 1e-2])
def test_central_is_exact_on_quadratics(radius, key, x64):
    """s = z·∇f for every radius; float64 rounding of the losses is divided by the radius."""
    x = tree(1)
    updates, z = jax.jit(lambda: estimate(zojax.central(radius), quadratic, x, key))()
    slope = inner(jax.grad(quadratic)(x), z)
    jax.tree.map(lambda u, z: np.testing.assert_allclose(u, slope * z, rtol=1e-11), updates, z)


def test_forward_is_exact_on_linear_losses(key, x64):
    x, g = tree(1), tree(2)
    updates, z = jax.jit(lambda: estimate(zojax.forward(0.7), lambda x: inner(g, x) + 3, x, key))()
    slope = inner(g, z)
    jax.tree.map(lambda u, z: np.testing.assert_allclose(u, slope * z, rtol=1e-11), updates, z)


@pytest.mark.parametrize(
    ("make", "loss", "ratio"),
    [(zojax.central, cubic, 4), (zojax.forward, quadratic, 2)],
    ids=["central: second order on a cubic", "forward: first order on a quadratic"],
)
def test_order_of_the_bias_in_the_radius(make, loss, ratio, key, x64):
    """The error at r over that at r/2, with one error term in theory; rtol for rounding."""
    error = slope_error(make, loss, tree(1), key)
    np.testing.assert_allclose(error(0.2) / error(0.1), ratio, rtol=1e-6)


@pytest.mark.parametrize("make", [zojax.central, zojax.forward])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        ({"radius": -1e-3}, r"radius must be a finite number above 0, got -0.001"),
        ({"radius": float("nan")}, r"radius must be a finite number above 0, got nan"),
        ({"radius": jnp.ones(2)}, r"radius must be a finite number above 0"),
        ({"num_queries": 0}, r"num_queries must be an integer of at least 1, got 0"),
        ({"num_queries": 2.0}, r"num_queries .* got 2.0; .*inject_hyperparams.*static_args"),
    ],
)
def test_numbers_out_of_range_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
