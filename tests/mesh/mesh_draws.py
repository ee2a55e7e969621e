"""Run by test_meshes.py in a process with 8 devices: draws directions for params on a mesh.

Leaves are cut along rows, columns, both and a stack; prints the samplers that then differ.
"""

import jax
import numpy as np
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import zojax

SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "packed signs": zojax.rademacher(),
    "coordinate": zojax.coordinate(),
    "factored": zojax.factored(2),
    "blocks": zojax.blocks(zojax.gaussian()),
}
LEAVES = {
    "rows": ((64, 24), P("x")),
    "columns": ((24, 64), P(None, "y")),
    "both": ((64, 64), P("x", "y")),
    "stack": ((4, 16, 40), P("y", "x")),
    "vector": ((16,), P(("x", "y"))),
}


def main() -> None:
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=2 * (AxisType.Auto,))
    whole = {name: jax.numpy.zeros(shape) for name, (shape, _) in LEAVES.items()}
    with jax.set_mesh(mesh):
        cut = {name: jax.device_put(whole[name], spec) for name, (_, spec) in LEAVES.items()}
    layouts = jax.tree.map(lambda leaf: leaf.sharding, cut)
    for name, sampler in SAMPLERS.items():

        def draw(params, sampler=sampler):
            state = sampler.init(params)
            directions, _ = sampler.draw(state, jax.random.key(0), jax.numpy.int32(3), 1, params)
            one = jax.tree.map(lambda array: array[0], directions)
            return zojax.materialize(one, params)

        alone = jax.jit(draw)(whole)
        with jax.set_mesh(mesh):
            spread = jax.jit(draw, out_shardings=layouts)(cut)
        same = jax.tree.map(
            lambda a, b: np.array_equal(np.asarray(a), np.asarray(b)), alone, spread
        )
        if not all(same.values()):
            print(name, same)


if __name__ == "__main__":
    main()
