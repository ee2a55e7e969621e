"""What `evaluate` promises: shapes, dtypes, errors, and how often it calls the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax

PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(3)}
X = jnp.sin(jnp.arange(8.0)).reshape(2, 4)


def loss(params):
    return jnp.mean(jnp.square(X @ params["w"] + params["b"] - 1))


def draw(num_queries, params=PARAMS, sampler=zojax.rademacher()):  # noqa: B008
    key = jax.random.key(0)
    return sampler.draw(sampler.init(params), key, jnp.int32(0), num_queries, params)[0]


@pytest.mark.parametrize(
    ("radius", "shape"),
    [(0.1, (3,)), ([0.1], (3, 1)), ([0.1, -0.1, 0.2], (3, 3)), (np.full((3, 2), 0.1), (3, 2))],
)
def test_the_losses_have_an_axis_of_queries_and_one_of_points_where_there_are_several(
    radius, shape
):
    losses = zojax.evaluate(loss, PARAMS, draw(3), jnp.asarray(radius), chunk_size=2)
    assert losses.shape == shape
    assert losses.dtype == jnp.float32


def test_a_radius_for_every_query_and_point():
    radii = jnp.array([[0.1, -0.3], [0.2, 0.0]])
    losses = zojax.evaluate(loss, PARAMS, draw(2), radii)
    for query, row in enumerate(radii):
        for point, radius in enumerate(row):
            z = zojax.materialize(jax.tree.map(lambda a, q=query: a[q], draw(2)), PARAMS)
            moved = jax.tree.map(lambda p, z, r=radius: p + r * z, PARAMS, z)
            np.testing.assert_allclose(losses[query, point], loss(moved), rtol=1e-6)


def test_radius_zero_gives_the_loss_itself():
    losses = zojax.evaluate(loss, PARAMS, draw(2), 0.0)
    np.testing.assert_allclose(losses, loss(PARAMS), rtol=1e-6)


def test_aux_leads_with_the_axes_of_the_losses():
    def value_fn(params):
        return loss(params), {"logits": X @ params["w"], "w": params["w"], "seen": X.shape[0]}

    losses, aux = zojax.evaluate(value_fn, PARAMS, draw(3), jnp.array([0.1, -0.1]), has_aux=True)
    assert losses.shape == (3, 2)
    assert aux["logits"].shape == (3, 2, 2, 3)
    assert aux["seen"].tolist() == [[2, 2]] * 3
    # A perturbed leaf that the loss returns comes back as an array.
    np.testing.assert_allclose(aux["logits"], X @ aux["w"], rtol=1e-5, atol=1e-6)
    _, aux = zojax.evaluate(value_fn, PARAMS, draw(3), 0.1, has_aux=True)
    assert aux["logits"].shape == (3, 2, 3)


def test_a_low_precision_loss_is_returned_in_float32():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)

    def value_fn(params):
        return loss(params).astype(jnp.bfloat16)

    assert zojax.evaluate(value_fn, params, draw(2), 0.1).dtype == jnp.float32


def test_the_loss_is_traced_once_and_evaluated_once_a_point():
    """Whatever the chunks: 3 queries with 2 points are 6 evaluations."""
    traced, evaluated = [], []

    def value_fn(params):
        traced.append(1)
        value = loss(params)
        jax.debug.callback(lambda value: evaluated.append(float(value)), value)
        return value

    @jax.jit
    def step(params):
        return zojax.evaluate(value_fn, params, draw(3), jnp.array([0.1, -0.1]))

    losses = step(PARAMS)
    jax.effects_barrier()
    assert len(traced) == 1
    np.testing.assert_allclose(sorted(evaluated), np.sort(losses.ravel()), rtol=1e-6)


def test_a_leaf_that_the_loss_ignores_draws_nothing(drawn):
    params = {**PARAMS, "unused": jnp.ones((50, 50))}
    jax.eval_shape(lambda params: zojax.evaluate(loss, params, draw(1, params), 0.1), params)
    assert max(drawn.entries) == 12


def test_params_may_be_one_array():
    x = jnp.array([1.0, 2.0])
    sampler = zojax.rademacher()
    losses = zojax.evaluate(jnp.sum, x, draw(1, x, sampler), jnp.array([0.5, -0.5]))
    np.testing.assert_allclose(losses.sum(), 6.0, rtol=1e-6)


@pytest.mark.parametrize("chunk_size", [0, -1, 1.5, True])
def test_a_chunk_size_that_is_no_positive_integer(chunk_size):
    with pytest.raises(ValueError, match="chunk_size must be an integer of at least 1"):
        zojax.evaluate(loss, PARAMS, draw(1), 0.1, chunk_size=chunk_size)


@pytest.mark.parametrize("shape", [(2, 2), (1, 2), (3, 2, 1)])
def test_a_radius_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"radius must have shape .* = \(3, \.\.\.\)"):
        zojax.evaluate(loss, PARAMS, draw(3), jnp.full(shape, 0.1))


@pytest.mark.parametrize("materialize", [False, True])
@pytest.mark.parametrize(
    ("value_fn", "message"),
    [
        (lambda params: (loss(params), {}), "has_aux=True"),
        (lambda params: X @ params["w"], r"float32 of shape \(2, 3\)"),
        (lambda params: jnp.argmax(params["b"]), "int32 of shape"),
    ],
)
def test_a_loss_that_is_no_floating_scalar(value_fn, message, materialize):
    with pytest.raises(TypeError, match=message):
        zojax.evaluate(value_fn, PARAMS, draw(1), 0.1, materialize=materialize)


def test_params_that_cannot_be_perturbed():
    params = {**PARAMS, "step": jnp.int32(3)}
    with pytest.raises(TypeError, match=r"params\['step'\] is int32"):
        zojax.evaluate(loss, params, draw(1), 0.1)


def test_an_error_of_the_loss_itself_reaches_the_caller():
    with pytest.raises(KeyError, match="absent"):
        zojax.evaluate(lambda params: params["absent"], PARAMS, draw(1), 0.1)
