"""Run by test_meshes.py in a process with 8 devices: rows of a table that is cut between its rows.

Groups of devices share the directions. Prints a line of JSON for a table whose noise is drawn where
it is used and for one that is drawn beforehand: the losses of one device, and those of the mesh.
"""

import json
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import zojax

ROWS = {"drawn where it is used": 1024, "drawn beforehand": 64}
WIDTH = 32
TOKENS = jax.random.randint(jax.random.key(2), (8, 4), 0, 64)


def main() -> None:
    kind = 3 * (AxisType.Auto,)
    mesh = jax.make_mesh((2, 2, 2), ("data", "query", "model"), axis_types=kind)
    for name, rows in ROWS.items():
        params = {
            "table": jax.random.normal(jax.random.key(0), (rows, WIDTH)),
            "kernel": jax.random.normal(jax.random.key(1), (WIDTH, WIDTH)),
        }
        alone = losses(params, TOKENS, zojax.Axes())
        with jax.set_mesh(mesh):
            # Between the rows of the table, and of what meets its features.
            cut = NamedSharding(mesh, P("model"))
            found = losses(
                jax.device_put(params, cut),
                jax.device_put(TOKENS, NamedSharding(mesh, P("data"))),
                zojax.Axes(query="query"),
            )
        print(json.dumps({"table": name, "alone": alone.tolist(), "found": found.tolist()}))


def losses(params: Any, tokens: jax.Array, axes: zojax.Axes) -> jax.Array:
    @jax.jit
    def of_all(params: Any, tokens: jax.Array) -> jax.Array:
        def loss(params: Any) -> jax.Array:
            return jnp.tanh(params["table"][tokens].mean(1) @ params["kernel"]).mean()

        directions, _ = zojax.gaussian().draw((), jax.random.key(3), jnp.int32(0), 4, params)
        return zojax.evaluate(loss, params, directions, jnp.array([0.3, -0.3]), axes=axes)

    return of_all(params, tokens)


if __name__ == "__main__":
    main()
