"""Run by test_meshes.py in a process with 8 devices: a matrix stored in parts, used in blocks.

Prints a line of JSON: how far the losses are from those of one device, the bytes of the matrix and
of the largest collective of the evaluation, and whether it can be lowered for TPUs, which have no
`custom_partitioning` (github.com/jax-ml/jax/issues/38196).
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import zojax
from experiments.benchmarks._collectives import collectives
from zojax import _thresholds

LAWS = {"dense": zojax.gaussian(), "factored": zojax.factored(2)}
WIDTHS = {"rows": (P("model"), (512, 64)), "columns": (P(None, "model"), (64, 512))}


def main() -> None:
    _thresholds.LEAST_BLOCK = 1 << 9
    mesh = jax.make_mesh((8,), ("model",), axis_types=(AxisType.Auto,))
    for name, (spec, shape) in WIDTHS.items():
        matrix = jax.random.normal(jax.random.key(1), shape)
        x = jax.random.normal(jax.random.key(2), (16, shape[0]))
        for law in LAWS:
            _check(law, name, matrix, x, mesh, spec)


def _check(law, name, matrix, x, mesh, spec) -> None:
    sampler = LAWS[law]

    def losses(axes):
        def evaluated(matrix, x):
            state = sampler.init(matrix)
            directions, _ = sampler.draw(state, jax.random.key(0), jnp.int32(3), 1, matrix)
            return zojax.evaluate(
                lambda w: jnp.mean(jnp.tanh(x @ w) ** 2), matrix, directions, 0.1, axes=axes
            )

        return jax.jit(evaluated)

    alone = losses(zojax.Axes())(matrix, x)
    with jax.set_mesh(mesh):
        cut, rows = jax.device_put(matrix, spec), jax.device_put(x, P("model"))
        program = losses(zojax.Axes(gathered="model")).trace(cut, rows)
        spread = program.lower().compile()
        for_tpu = program.lower(lowering_platforms=("tpu",)).as_text()
    row = {
        "law": law,
        "cut": name,
        "apart": float(np.max(np.abs(np.asarray(spread(cut, rows)) - np.asarray(alone)))),
        "bytes": matrix.nbytes,
        "largest": max(one.bytes for one in collectives(spread)),
        "custom": "CustomSPMDPartitioning" in for_tpu,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
