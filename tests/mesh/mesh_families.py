"""Run by test_meshes.py in a process with 8 devices: the rules of placement, for every family.

Prints a line of JSON for each checkpoint and rule.
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType

from zojax.models import from_pretrained, fully_sharded, tensor_parallel


def main(folders: list[str]) -> None:
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=2 * (AxisType.Auto,))
    for folder in folders:
        whole = from_pretrained(folder)
        if hasattr(whole.config, "image_size"):
            shape = (2, whole.config.num_channels, *np.broadcast_to(whole.config.image_size, 2))
            inputs = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        else:
            inputs = np.arange(2 * 6).reshape(2, 6) % 40
        forward = jax.jit(lambda graph, weights, x: nnx.merge(graph, weights)(x), static_argnums=0)
        expected = forward(*nnx.split(whole), inputs)
        for rule in (tensor_parallel, fully_sharded):
            model = from_pretrained(folder, mesh=mesh, rules=rule(mesh, "model"))
            graph, weights = nnx.split(model)
            apart = jnp.abs(forward(graph, weights, inputs) - expected).max()
            matrices = [leaf for leaf in jax.tree.leaves(weights) if leaf.ndim > 1]
            cut = sum(leaf.size for leaf in matrices if not leaf.sharding.is_fully_replicated)
            row = {"family": Path(folder).name, "rule": rule.__name__, "apart": float(apart)}
            print(json.dumps({**row, "cut": cut / sum(leaf.size for leaf in matrices)}))


if __name__ == "__main__":
    main(sys.argv[1:])
