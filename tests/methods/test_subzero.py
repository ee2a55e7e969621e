"""SubZero is the algorithm of the paper, and stays in the subspaces that it draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.subzero import subzero as reference

RANK, PERIOD = 2, 3


def directions_of(rank, period):
    """What the method draws from, put together once more."""
    periods = {"left_period": period, "right_period": period}
    return zojax.factored(rank, left="haar", core="gaussian", right="haar", **periods)


def bases(kept):
    pairs = zip(kept["left"], kept["right"], strict=True)
    return dict(zip(taped.MATRICES, pairs, strict=True))


OPTIONS = {"learning_rate": 0.05, "radius": 1e-2, "weight_decay": 0.2}
QUERIES = 2


@functools.cache
def recorded():
    """Eight steps, and U, V, C and z."""
    key = jax.random.key(0)
    tx = zojax.subzero(key=key, num_queries=QUERIES, rank=RANK, period=PERIOD, **OPTIONS)

    def look(directions, kept, step):
        del step
        noise = {"b": taped.dense(directions)["b"]}
        for name, (u, _), recipe in zip(
            taped.MATRICES, bases(kept).values(), directions[1:], strict=True
        ):
            noise[name] = jnp.einsum("mr,kms->krs", u, recipe.left)  # Uᵀ (U C)
        return bases(kept), noise

    return taped.run(tx, directions_of(RANK, PERIOD), key, look, num_queries=QUERIES)


def test_eight_steps_equal_the_papers_loop():
    """Fed the same U, V, C and z, over two refreshes."""
    got = recorded()
    steps = [(jax.tree.map(np.float64, kept), taped.queries(noise)) for kept, noise in got.tape]
    expected, slopes = reference(
        lambda x: taped.network(x, np), taped.START, steps, rank=RANK, **OPTIONS
    )
    taped.assert_close(got.x | {"s": got.coefficients * QUERIES}, expected | {"s": slopes})
    assert optax.tree.get(got.state, "num_evaluations") == 8 * 2 * QUERIES


def test_matrices_move_within_their_subspaces_until_the_next_is_drawn():
    """W_3 - (1 - η λ)³ W_0 = U X Vᵀ to rounding, and with W_4 and (1 - η λ)⁴ it is not."""
    got = recorded()
    for name in taped.MATRICES:
        u, v = (np.float64(part) for part in got.tape[0][0][name])
        np.testing.assert_allclose(u.T @ u, np.eye(RANK), atol=1e-6)
        kept = 1 - OPTIONS["learning_rate"] * OPTIONS["weight_decay"]
        moves = [got.visited[name][t - 1] - kept**t * taped.START[name] for t in (3, 4)]
        inside, outside = (np.linalg.norm(w - u @ u.T @ w @ v @ v.T) for w in moves)
        assert inside < 1e-6 < 1e-3 < outside


def test_with_full_rank_and_a_new_basis_each_step_the_moments_are_those_of_mezo(key):
    """Of a linear loss: mean within 5 standard errors of g, E‖s Z‖² = mn (1 + 2/r²) ‖g‖².

    With r = m = n = 2 that is 6 ‖g‖², MeZO's (mn + 2) ‖g‖², of 4000 independent keys. The squared
    length has a standard deviation of at most 3 times its mean; that of an entry is at most
    ‖g‖ √(mn + 2).
    """
    g = np.float32([[1.0, -2.0], [0.5, 3.0]])
    x = {"w": jnp.zeros((2, 2))}

    @jax.jit
    @jax.vmap
    def estimate(key):
        tx = zojax.subzero(1.0, key, rank=2, period=1, radius=1.0, bits=32)
        updates, _ = tx.update(None, tx.init(x), x, value_fn=lambda x: jnp.sum(g * x["w"]))
        return -updates["w"]

    found = np.asarray(estimate(jax.random.split(key, 4000)))
    norm = np.sum(g**2)
    assert np.abs(found.mean(0) - g).max() < 5 * np.sqrt(6 * norm / 4000)
    lengths = np.sum(found**2, (1, 2))
    np.testing.assert_allclose(lengths.mean(), 6 * norm, rtol=5 * 3 / np.sqrt(4000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, r"rank must be an integer of at least 1, got 0"),
        ({"period": 0}, r"period must be an integer of at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.subzero(0.1, key, **arguments)
