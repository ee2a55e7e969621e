"""Run by test_meshes.py in a process with 8 devices: layers that send, and blocks of one of them.

For some devices the points of a pair never differ, as their inputs are zero. Prints the losses of
both points with each layer active, lazily and materialized.
"""

import json

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import zojax

LAYERS = 3
PARAMS = {"layers": jax.random.normal(jax.random.key(0), (LAYERS, 8, 8))}
INPUTS = jax.random.normal(jax.random.key(1), (8, 3, 8)).at[::2].set(0)
SAMPLER = zojax.blocks(zojax.gaussian(), zojax.layer_blocks(), order="cyclic")


def loss(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    def layer(x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = jnp.tanh(x @ w)
        return x, jax.lax.psum(jnp.sum(x**2), "data")

    return jax.lax.scan(layer, x, params["layers"])[1].sum()


def losses(params: dict[str, jax.Array], x: jax.Array, step: jax.Array) -> tuple:
    directions, _ = SAMPLER.draw((), jax.random.key(2), step, 1, params)
    radii = jnp.array([0.1, -0.1])
    return tuple(
        zojax.evaluate(
            lambda params: loss(params, x), params, directions, radii, materialize=materialize
        )
        for materialize in (False, True)
    )


def main() -> None:
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    specs = P(), P("data"), P()
    run = jax.jit(jax.shard_map(losses, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False))
    for step in range(LAYERS):
        lazy, materialized = run(PARAMS, INPUTS, jnp.int32(step))
        print(json.dumps({"lazy": lazy.tolist(), "materialized": materialized.tolist()}))


if __name__ == "__main__":
    main()
