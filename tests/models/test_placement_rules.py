"""Which axis of a weight is cut; how whole models lie is in tests/mesh."""

import jax
import pytest
from jax.sharding import PartitionSpec as P

from zojax.models import fully_sharded


@pytest.mark.parametrize(
    ("path", "shape", "spec"),
    [
        (("embed", "embedding"), (640, 64), P(None, "model")),
        (("lm_head", "kernel"), (64, 640), P(None, "model")),
        (("layers", "fc2", "kernel"), (2, 256, 64), P(None, "model", None)),
        (("norm", "scale"), (64,), P()),
    ],
)
def test_stored_in_parts_tables_are_cut_along_their_width_and_others_along_the_longest(
    path, shape, spec
):
    rule = fully_sharded(jax.make_mesh((1,), ("model",)), "model")
    assert rule(path, shape) == spec
