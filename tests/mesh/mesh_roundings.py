"""Run by test_meshes.py in a process with 8 devices: rounds updates of params on a mesh.

Prints the leaves that come out otherwise than on one device.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType
from mesh_draws import LEAVES

import zojax


def main() -> None:
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=2 * (AxisType.Auto,))
    tx = zojax.round_stochastically(optax.identity(), jax.random.key(0))
    whole = {name: jnp.ones(shape, jnp.bfloat16) for name, (shape, _) in LEAVES.items()}
    with jax.set_mesh(mesh):
        cut = {name: jax.device_put(whole[name], spec) for name, (_, spec) in LEAVES.items()}
    layouts = jax.tree.map(lambda leaf: leaf.sharding, cut)

    def step(params):
        updates = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 1e-3), params)
        updates, _ = tx.update(updates, tx.init(params), params)
        return optax.apply_updates(params, updates)

    alone = jax.jit(step)(whole)
    with jax.set_mesh(mesh):
        spread = jax.jit(step, out_shardings=layouts)(cut)
    for name, leaf in alone.items():
        moved = np.asarray(leaf) != 1
        if not moved.any() or moved.all() or not np.array_equal(leaf, np.asarray(spread[name])):
            print(name)


if __name__ == "__main__":
    main()
