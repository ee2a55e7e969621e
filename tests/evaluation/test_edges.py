"""Losses and params at the edge: their evaluation is that of plain JAX on params + radius z."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

RADII = jnp.array([0.25, -0.25])
SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "rank 1": zojax.factored(1),
    "blocks": zojax.blocks(zojax.rademacher(), zojax.layer_blocks()),
    "anisotropic": zojax.anisotropic(0.5, rate=0.1),
}


quickly_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def directions_of(sampler, params, num_queries=1):
    key = jax.random.key(0)
    return sampler.draw(sampler.init(params), key, jnp.int32(0), num_queries, params)[0]


def plain(loss, params, directions, radii=RADII):
    """The loss itself at explicitly perturbed params, for every query and radius."""
    z = jax.vmap(lambda direction: zojax.materialize(direction, params))(directions)
    losses = []
    for k in range(jax.tree.leaves(z)[0].shape[0]):
        for radius in radii:
            moved = jax.tree.map(lambda p, d, k=k, r=radius: p + r * d[k], params, z)
            losses.append(np.float64(loss(moved)))
    return np.array(losses).reshape(-1, len(radii))


EMPTY = {
    "an empty strided slice": ((7, 9), lambda w: jax.lax.slice(w, (3, 0), (3, 9), (2, 1))),
    "an empty slice of columns": ((7, 9), lambda w: w[:, 4:4]),
    "an empty dynamic slice": ((7, 9), lambda w: jax.lax.dynamic_slice(w, (2, 0), (0, 9))),
    "a product with no rows": ((200, 200), lambda w: jnp.zeros((0, 200)) @ w),
    "a product from the right": ((200, 200), lambda w: w @ jnp.zeros((200, 0))),
    "rows that are not there": ((7, 9), lambda w: w[2:2] @ jnp.ones(9)),
    "a sum over nothing": ((7, 9), lambda w: w[:, 2:2] @ jnp.ones((0, 3))),
    "a gather of nothing": ((7, 9), lambda w: w[jnp.zeros(0, jnp.int32)]),
    "a scan over nothing": ((7, 9), lambda w: jax.lax.scan(lambda c, x: (c, x), 0.0, w[:0])[1]),
    "an empty leaf": ((0, 9), lambda w: w @ jnp.ones((9, 2))),
    "an empty leaf that is summed over": ((0, 9), lambda w: jnp.ones((2, 0)) @ w),
    "an empty table": ((0, 9), lambda w: w[jnp.zeros(0, jnp.int32)]),
}


@pytest.mark.parametrize("law", SAMPLERS)
def test_what_has_no_entries_is_evaluated(law):
    """Each result has the shape that plain JAX gives it, and no entry; the rest is as it was."""
    params = {name: jnp.ones(shape) for name, (shape, _) in EMPTY.items()} | {"x": jnp.ones(3)}

    def loss(params):
        results = {name: empty(params[name]) for name, (_, empty) in EMPTY.items()}
        return sum(map(jnp.sum, results.values())) + jnp.sum(params["x"] ** 2), results

    @quickly_compiled
    def both(params):
        directions = directions_of(SAMPLERS[law], params)
        lazy = zojax.evaluate(loss, params, directions, RADII, has_aux=True)
        return lazy, zojax.evaluate(lambda p: jnp.sum(p["x"] ** 2), params, directions, RADII)

    (losses, results), expected = both(params)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    _, plainly = loss(params)
    for name, result in results.items():
        assert result.shape == (1, 2, *plainly[name].shape)
        assert not np.any(result), name


@pytest.mark.parametrize("num_queries", [2, 5])
def test_results_without_entries_come_back_from_chunks(num_queries):
    params = {"w": jnp.ones((2, 3))}
    directions = directions_of(zojax.gaussian(), params, num_queries)

    def loss(params):
        return jnp.sum(params["w"]), params["w"][:, :0]

    one, _ = zojax.evaluate(loss, params, directions, RADII, has_aux=True)
    losses, aux = zojax.evaluate(loss, params, directions, RADII, has_aux=True, chunk_size=2)
    assert aux.shape == (num_queries, 2, 2, 0)
    np.testing.assert_allclose(losses, one, rtol=1e-5)


def test_an_anisotropic_step_leaves_what_is_empty_alone():
    params = {"e": jnp.zeros((0, 3)), "w": jnp.ones((4, 3))}
    tx = zojax.loren(0.1, jax.random.key(0))
    loss = lambda p: jnp.sum(p["w"] ** 2) + jnp.sum(p["e"])  # noqa: E731
    updates, _ = tx.update(None, tx.init(params), params, value_fn=loss)
    assert updates["e"].shape == (0, 3)
    assert np.any(updates["w"])


def half_precision_loss(params):
    """A weak scalar adopts the dtype of the batch; a strong one would widen it."""
    batch = jnp.array([1.0, 2.25, -3.5], jnp.bfloat16)
    out = jnp.sum((params["a"] * batch) ** 2)
    assert out.dtype == jnp.bfloat16
    return out


@pytest.mark.parametrize("materialize", [False, True])
def test_params_of_a_weak_type_keep_it(materialize):
    """So the points and the base are measured with the same rounding."""
    params = {"a": jnp.asarray(1.5)}
    directions = directions_of(zojax.gaussian(), params)
    zero = zojax.evaluate(half_precision_loss, params, directions, 0.0, materialize=materialize)
    np.testing.assert_array_equal(zero, [np.float32(half_precision_loss(params))])


def test_a_one_sided_estimate_of_weak_params_has_no_jump():
    """With points in float32 and a base in bfloat16, half a unit of rounding looks like a slope."""
    params = {"a": jnp.asarray(1.5)}
    tx = zojax.estimate_gradient(jax.random.key(0), zojax.rademacher(), zojax.forward(radius=1e-4))
    updates, _ = tx.update(None, tx.init(params), params, value_fn=half_precision_loss)
    # 1e-4 moves nothing in bfloat16: the slope of what is measured is 0.
    assert updates["a"] == 0


def test_a_key_and_a_weight_pass_through_one_primitive():
    def loss(params):
        key, w = jax.lax.optimization_barrier((jax.random.key(1), params["w"]))
        return jnp.sum(jax.random.normal(key, (3,)) @ w)

    params = {"w": jnp.ones((3, 2))}
    directions = directions_of(zojax.gaussian(), params)
    found = zojax.evaluate(loss, params, directions, RADII)
    np.testing.assert_allclose(found, plain(loss, params, directions), rtol=1e-5)


def test_a_weight_stays_lazy_behind_a_barrier():
    def loss(params):
        w, x = jax.lax.optimization_barrier((params["w"], jnp.ones((2, 3))))
        return jnp.sum(x @ w)

    assert zojax.explain(loss, {"w": jnp.ones((3, 2))}) == []


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (sum([]), 0.0), (2, 2.0)])
def test_a_number_of_python_is_a_loss(value, expected):
    params = {"w": jnp.ones(3)}
    tx = zojax.zo_sgd(0.1, jax.random.key(0), num_queries=2)
    updates, state = tx.update(None, tx.init(params), params, value_fn=lambda params: value)
    np.testing.assert_array_equal(updates["w"], np.zeros(3))
    assert optax.tree.get(state, "value") == expected


@pytest.mark.parametrize("value", [True, None, jnp.int32(1), jnp.array(True)])
def test_what_is_no_number_is_no_loss(value):
    params = {"w": jnp.ones(3)}
    directions = directions_of(zojax.gaussian(), params)
    with pytest.raises(TypeError, match="value_fn must return one floating-point number"):
        zojax.evaluate(lambda params: value, params, directions, 0.1)


@pytest.mark.parametrize("params", [{}, (), {"a": []}])
def test_params_without_arrays_are_refused(params):
    tx = zojax.mezo(0.1, jax.random.key(0))
    with pytest.raises(ValueError, match="params have no arrays"):
        tx.init(params)


def test_arrays_of_numpy_in_float64_are_what_they_are_in_the_plain_loss():
    params, wide = {"w": jnp.ones((3, 2))}, np.linspace(0.1, 1.0, 6).reshape(3, 2)

    def loss(params):
        return jnp.sum(jax.jit(lambda w: w * wide)(params["w"])) + jnp.sum(wide @ params["w"].T)

    directions = directions_of(zojax.gaussian(), params)
    found = zojax.evaluate(loss, params, directions, RADII)
    np.testing.assert_allclose(found, plain(loss, params, directions), rtol=1e-5)


def composite(x):
    """What JAX has no batching rule for."""
    return jax.lax.composite(lambda x: jnp.sin(x), name="test.sine")(x)


def callback(x):
    """A callback that does not say what a batch of it is."""
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


@pytest.mark.parametrize("chunk_size", [1, 2])
@pytest.mark.parametrize("unbatched", [composite, callback])
def test_what_cannot_be_batched_is_evaluated_point_by_point(unbatched, chunk_size):
    params = {"w": jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)}
    x = jnp.array([[1.0, 2.0]])

    def loss(params):
        return jnp.sum(unbatched(x @ params["w"])) + jnp.sum(unbatched(params["w"]))

    directions = directions_of(zojax.rademacher(), params, num_queries=3)
    found = zojax.evaluate(loss, params, directions, RADII, chunk_size=chunk_size)
    np.testing.assert_allclose(found, plain(loss, params, directions), rtol=1e-5)


def test_a_callback_on_data_alone_does_not_stop_the_batch():
    """It is the same for all points: nothing has to be batched."""
    params, x = {"w": jnp.ones((2, 3))}, jnp.array([[1.0, 2.0]])

    def loss(params):
        return jnp.sum(callback(x) @ params["w"])

    directions = directions_of(zojax.rademacher(), params)
    assert not takes_turns(loss, params, directions)
    np.testing.assert_allclose(
        zojax.evaluate(loss, params, directions, RADII), plain(loss, params, directions), rtol=1e-5
    )


def takes_turns(loss, params, directions):
    """Whether points are evaluated one after another: by a scan, of losses that have none."""
    jaxpr = jax.make_jaxpr(lambda p: zojax.evaluate(loss, p, directions, RADII))(params)
    return any(eqn.primitive.name == "scan" for eqn in jaxpr.jaxpr.eqns)


@pytest.mark.parametrize(("width", "in_turn"), [(1, True), (40, False)])
def test_points_take_turns_where_most_of_params_are_kernels_of_convolutions(width, in_turn):
    """72 weights are in a kernel, 4 or 160 in a product."""
    params = {"conv": jnp.full((3, 3, 2, 4), 0.1), "head": jnp.ones((4, width))}
    images = jnp.linspace(-1.0, 1.0, 32).reshape(1, 4, 4, 2)

    def loss(params):
        dims = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(
            images, params["conv"], (1, 1), "SAME", dimension_numbers=dims
        )
        return jnp.sum(jnp.sin(x @ params["head"]))

    directions = directions_of(zojax.rademacher(), params)
    assert takes_turns(loss, params, directions) is in_turn
    np.testing.assert_allclose(
        zojax.evaluate(loss, params, directions, RADII), plain(loss, params, directions), rtol=1e-4
    )


@pytest.mark.parametrize("materialize", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_unsigned_starts_with_the_highest_bit_set_are_no_negative_ones(dtype, materialize):
    """XLA reads such constants so, and calls inside the loss are inlined to constants."""
    beyond = dtype(np.iinfo(dtype).max - 3)
    dimensions = jax.lax.GatherDimensionNumbers((0,), (0,), (0,))

    def loss(params):
        w = params["w"]
        row = jax.jit(lambda at: jax.lax.dynamic_slice(w, (at, dtype(0)), (1, 2)))(beyond)
        put = jax.jit(lambda at: jax.lax.dynamic_update_slice(w, 2 * row, (at, dtype(0))))(beyond)
        how = {"slice_sizes": (1, 2), "mode": "clip"}
        taken = jax.jit(lambda at: jax.lax.gather(w, at, dimensions, **how))(beyond[None])
        added = jax.jit(lambda at: put.at[at].add(taken, mode="clip"))(beyond)
        outs = jnp.take(w, beyond, axis=0, mode="clip"), row[0], taken, put[-1], added[-1]
        return jnp.sum(w), jnp.stack([*outs, w[-1]])

    params = {"w": jnp.arange(400.0).reshape(200, 2)}
    directions = directions_of(zojax.rademacher(), params)

    @jax.jit
    def rows(params):
        how = {"has_aux": True, "materialize": materialize}
        return zojax.evaluate(loss, params, directions, 0.5, **how)[1][0]

    z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), params)["w"]
    expected = loss({"w": params["w"] + 0.5 * z})[1]
    np.testing.assert_array_equal(expected[1], expected[-1])
    np.testing.assert_array_equal(rows(params), expected)
