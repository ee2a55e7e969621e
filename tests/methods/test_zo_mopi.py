"""ZO-MOPI is the algorithm of its code, but for what the card says, in transposed matrices."""

import jax
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.zo_mopi import zo_mopi as reference

QUERIES, RANK = 3, 3


def turned(x):
    return {name: value.T for name, value in x.items()}


@pytest.mark.parametrize(("momentum", "components"), [(0.0, 2), (0.6, 3)])
def test_eight_steps_equal_the_papers_loop(momentum, components, key):
    """Fed the same P, U and z, over two refreshes. `out` has three rows, as many as P columns."""
    options = {"learning_rate": 0.1, "learning_rate_1d": 0.5, "radius": 1e-2}
    options |= {"momentum": momentum, "components": components, "weight_decay": 0.2}
    tx = zojax.zo_mopi(key=key, num_queries=QUERIES, rank=RANK, period=3, **options)
    kinds = {"left": "haar", "core": "gaussian", "right": "identity"}
    sampler = zojax.factored(RANK, **kinds, left_period=3, scale=1.0, views=zojax.last_axis_rows)

    def look(directions, kept, step):
        del step
        noise = [taped.dense(directions)["b"], *(recipe.right.mT for recipe in directions[1:])]
        noise = dict(zip(taped.START, noise, strict=True))
        return dict(zip(taped.MATRICES, kept["left"], strict=True)), noise

    got = taped.run(tx, sampler, key, look, num_queries=QUERIES)
    steps = [(jax.tree.map(np.float64, kept), taped.queries(noise)) for kept, noise in got.tape]
    expected = reference(
        lambda x: taped.network(turned(x), np), turned(taped.START), steps, **options
    )
    taped.assert_close(got.x, turned(expected))
    assert optax.tree.get(got.state, "num_evaluations") == 8 * (QUERIES + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"components": 0}, r"components must be an integer of at least 1, got 0"),
        ({"momentum": 1.0}, r"momentum must be a number of at least 0 and below 1, got 1.0"),
        ({"period": 0}, r"period must be an integer of at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.zo_mopi(0.1, key, **arguments)
