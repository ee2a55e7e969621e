"""Run by test_placement.py in a process with 8 devices: loads a model over a mesh and checks it."""

import sys

import jax
import numpy as np
from flax import nnx
from jax.sharding import PartitionSpec as P

from zojax.models import _files, _weights, from_pretrained

RULES = (
    ("fc1.kernel", P(None, None, "model")),
    ("fc2.kernel", P(None, "model")),
    ("self_attn.*_proj.kernel", P("data", None, "model")),
    ("embed_tokens.embedding", P("model")),
    ("embed_positions.embedding", P("data")),
)


def main(folder: str) -> None:
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=2 * (jax.sharding.AxisType.Auto,))
    largest = _watch_reads()
    model = from_pretrained(folder, mesh=mesh, rules=RULES)
    # No block that was read is larger than what a device holds of the largest tensor.
    assert largest[0] == 4 * 16 * 40 // 4, largest
    params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    layers = params["layers"]
    assert _shard_shape(layers["fc1"]["kernel"]) == (2, 16, 6)
    assert _shard_shape(layers["fc2"]["kernel"]) == (2, 6, 16)
    assert _shard_shape(layers["self_attn"]["q_proj"]["kernel"]) == (1, 16, 4)
    assert _shard_shape(params["embed_tokens"]["embedding"]) == (10, 16)
    assert layers["fc1"]["bias"].sharding.is_fully_replicated
    whole = nnx.to_pure_dict(nnx.state(from_pretrained(folder), nnx.Param))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), params, whole)
    ids = np.arange(4 * 6).reshape(4, 6) % 40
    logits = nnx.jit(lambda model: model(ids))
    np.testing.assert_allclose(logits(model), logits(from_pretrained(folder)), atol=1e-5)


def _watch_reads() -> list[int]:
    """The bytes of the largest block that is read from now on, in a list of one."""
    largest, opened = [0], _files.open_tensors

    def watched(stored: _weights.Stored) -> _weights.Stored:
        def read(block: _weights.Block) -> np.ndarray:
            array = stored.read(block)
            largest[0] = max(largest[0], array.nbytes)
            return array

        return stored._replace(read=read)

    _files.open_tensors = lambda *args, **kwargs: {
        n: watched(s) for n, s in opened(*args, **kwargs).items()
    }
    return largest


def _shard_shape(array: jax.Array) -> tuple[int, ...]:
    (shape,) = {shard.data.shape for shard in array.addressable_shards}
    return shape


if __name__ == "__main__":
    main(sys.argv[1])
