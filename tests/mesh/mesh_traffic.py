"""Run by test_meshes.py in a process with 8 devices: what a step sends besides its forwards.

Prints a line of JSON for each mesh, and one about coefficients that devices do not agree on.
"""

import json

import jax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from experiments.benchmarks import scale
from experiments.benchmarks._forms import Size, scanned
from zojax import _mesh

LAYOUTS = ("data=8", "tensor=8", "stored in 8", "data=2, query=2, tensor=2")
SIZE = Size(layers=2, width=128, heads=8, vocabulary=1024, batch=16, length=8)


def main() -> None:
    form, settings = scanned(SIZE), scale.Settings(size=SIZE, steps=0)
    for name in LAYOUTS:
        forwards, step, _ = scale.traffic(form, scale.LAYOUTS[name], settings)
        print(json.dumps({"mesh": name, "forwards": forwards, "step": step}))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    agreed = jax.shard_map(
        lambda: _mesh.agreed(3.0 + jax.lax.axis_index("data"), "data"),
        mesh=mesh,
        in_specs=(),
        out_specs=P(),
    )
    print(json.dumps({"agreed": float(jax.jit(agreed)())}))


if __name__ == "__main__":
    main()
