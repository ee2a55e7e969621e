"""What is wrong with mesh axes is said before anything is evaluated."""

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import zojax

PARAMS = {"w": jnp.ones((4, 3))}


def loss(params):
    return jnp.sum(params["w"] ** 2)


def step(axes, num_queries=4):
    tx = zojax.mezo(0.1, jax.random.key(0), num_queries=num_queries, axes=axes)
    updates, _ = tx.update(None, tx.init(PARAMS), PARAMS, value_fn=loss)
    return optax.apply_updates(PARAMS, updates)


def mesh(kind=AxisType.Auto):
    return jax.make_mesh((1,), ("query",), axis_types=(kind,))


def test_an_axis_without_a_mesh():
    with pytest.raises(ValueError, match=r"axes\.query names .* 'query', but .* no axes"):
        step(zojax.Axes(query="query"))


def test_an_axis_that_the_mesh_does_not_have():
    with (
        jax.set_mesh(mesh()),
        pytest.raises(ValueError, match=r"axes\.gathered .*'model', but the mesh has 'query'"),
    ):
        step(zojax.Axes(gathered="model"))


def test_queries_that_cannot_be_shared_out():
    abstract = jax.sharding.AbstractMesh((3,), ("query",), axis_types=(AxisType.Auto,))
    with (
        jax.sharding.use_abstract_mesh(abstract),
        pytest.raises(ValueError, match="num_queries = 4 cannot be shared out among the 3 groups"),
    ):
        jax.eval_shape(lambda: step(zojax.Axes(query="query")))


def test_an_unknown_way_to_update():
    with pytest.raises(ValueError, match=r"axes\.query_update must be auto, all or share"):
        step(zojax.Axes(query_update="some"))


def test_queries_on_an_axis_of_types():
    with (
        jax.set_mesh(mesh(AxisType.Explicit)),
        pytest.raises(ValueError, match=r"axes are all of the kind AxisType\.Auto"),
    ):
        step(zojax.Axes(query="query"))


def test_queries_inside_a_checked_shard_map():
    mapped = jax.shard_map(
        lambda: step(zojax.Axes(query="query")), mesh=mesh(), in_specs=(), out_specs=P()
    )
    with pytest.raises(ValueError, match="needs check_vma=False"):
        jax.eval_shape(mapped)
