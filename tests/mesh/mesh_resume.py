"""Run by test_meshes.py in a process with 8 devices: a checkpoint of 8 continues on 1, 2 and 4.

Prints a line of JSON for each number of devices.
"""

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import zojax
from zojax.training import Checkpoints, make_step

TOKENS = jax.random.randint(jax.random.key(2), (6, 8, 4), 0, 32)


def loss(params: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
    return jnp.mean((jnp.tanh(params["embed"][tokens].mean(1) @ params["out"]) - 0.5) ** 2)


def train(params: Any, state: Any, devices: int, first: int, last: int) -> tuple[Any, Any]:
    """Steps first...last on so many devices, the batch in parts and one matrix as well."""
    mesh = make_mesh(devices)
    tx = zojax.mezo_adam(0.01, jax.random.key(0), radius=0.1, num_queries=2)
    step = make_step(tx, loss)
    with jax.set_mesh(mesh):
        state = tx.init(params) if state is None else state
        for tokens in TOKENS[first:last]:
            batch = jax.device_put(np.asarray(tokens), P("data"))
            params, state, _ = step(params, state, tokens=batch)
    return params, state


def make_mesh(devices: int) -> jax.sharding.Mesh:
    return jax.make_mesh(
        (devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices]
    )


def start(devices: int) -> dict[str, jax.Array]:
    mesh = make_mesh(devices)
    keys = jax.random.split(jax.random.key(1))
    return {
        "embed": jax.device_put(jax.random.normal(keys[0], (32, 16)), NamedSharding(mesh, P())),
        "out": jax.device_put(
            jax.random.normal(keys[1], (16, 8)), NamedSharding(mesh, P(None, "data"))
        ),
    }


def main(folder: str) -> None:
    whole, _ = train(start(1), None, devices=1, first=0, last=6)
    moved = distance(whole, start(1))
    with Checkpoints(folder) as checkpoints:
        params, state = train(start(8), None, devices=8, first=0, last=3)
        checkpoints.save(3, params, state, loss=0.0)
        for devices in (1, 2, 4):
            like = start(devices)
            there = NamedSharding(make_mesh(devices), P())
            wanted = jax.tree.map(
                lambda leaf, there=there: jax.ShapeDtypeStruct(
                    leaf.shape, leaf.dtype, sharding=there
                ),
                state,
            )
            restored = checkpoints.restore(3, params=like, state=wanted)
            exact = distance(restored[0], params)
            found, _ = train(*restored, devices=devices, first=3, last=6)
            row = {"devices": devices, "restored": exact, "apart": distance(whole, found) / moved}
            print(json.dumps(row))


def distance(a: Any, b: Any) -> float:
    return float(optax.tree.norm(jax.tree.map(lambda x, y: np.asarray(x) - np.asarray(y), a, b)))


if __name__ == "__main__":
    main(sys.argv[1])
