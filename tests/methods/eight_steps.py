"""A small loss and eight steps of a method on it, to be compared with the loop of its paper."""

import jax
import jax.numpy as jnp
import numpy as np

import zojax
from tests.methods.taped import run

STEPS = 8
_RNG = np.random.default_rng(3)
_FEATURES = _RNG.normal(size=(8, 3))
_LABELS = _RNG.choice([-1.0, 1.0], size=(8, 2))
START = {"b": _RNG.normal(size=2), "w": _RNG.normal(size=(3, 2))}


def logistic(x, numbers=jnp):
    """Smooth and not quadratic; in numpy with `numbers=np`."""
    margins = _LABELS * (_FEATURES @ x["w"] + x["b"])
    return numbers.mean(numbers.log1p(numbers.exp(-margins)))


def in_numpy(x):
    """The same for the loops: dict of float64 arrays -> float."""
    return logistic(x, np)


def eight_steps(tx, key, num_queries=1, sampler=None):
    """The params after each step, the coefficients, and the draws of `sampler` beside them.

    Returns:
      (params, coefficients, noise): a dict of arrays that lead with the step, (8, K), and for every
      step a list of dicts of float64 arrays, one for each query.
    """

    def look(directions, kept, step):
        return jax.vmap(lambda direction: zojax.materialize(direction, START))(directions)

    sampler = sampler or zojax.gaussian()
    options = {"num_queries": num_queries, "steps": STEPS, "loss": logistic, "start": START}
    found = run(tx, sampler, key, look, **options)
    noise = [
        [{name: np.float64(drawn[name][query]) for name in drawn} for query in range(num_queries)]
        for drawn in found.tape
    ]
    return found.visited, found.coefficients, noise


def assert_ends_agree(params, expected, rtol=1e-6):
    """The params after the last step are those of the loop, and none is where it began.

    atol: scales of directions are float32.
    """
    for name, value in expected.items():
        np.testing.assert_allclose(params[name][-1], value, rtol=rtol, atol=1e-7)
        assert (params[name][-1] != START[name]).all()
