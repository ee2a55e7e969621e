"""MeZO-SVRG (arXiv:2404.08080, Algorithm 1) in plain numpy loops over dicts of arrays."""

import numpy as np


def mezo_svrg(x, cycles, *, full_batch_rate, minibatch_rate, radius):
    """Runs cycles of a step with the full batch and some with minibatches.

    Args:
      x: a dict of float64 arrays.
      cycles: of (full, minibatches). `full` is the losses of the parts of the full batch, and a
        list of directions. `minibatches` has a loss and a list of directions for each step. A loss
        is a function from params to a float.
      full_batch_rate: η₁.
      minibatch_rate: η₂.
      radius: μ.

    Returns:
      The params after each step.
    """
    visited = []
    for (parts, z), minibatches in cycles:

        def full(x, parts=parts):
            return np.mean([loss(x) for loss in parts])

        gradient, anchor = _spsa(full, x, z, radius), x
        x = _moved(x, -full_batch_rate, gradient)
        visited.append(x)
        for loss, z in minibatches:
            here, there = (_spsa(loss, point, z, radius) for point in (x, anchor))
            estimate = {name: here[name] - there[name] + gradient[name] for name in x}
            x = _moved(x, -minibatch_rate, estimate)
            visited.append(x)
    return visited


def _spsa(loss, x, directions, radius):
    """The mean over directions of a slope times a direction."""
    total = {name: np.zeros_like(value) for name, value in x.items()}
    for z in directions:
        slope = (loss(_moved(x, radius, z)) - loss(_moved(x, -radius, z))) / (2 * radius)
        total = _moved(total, slope / len(directions), z)
    return total


def _moved(x, by, z):
    return {name: x[name] + by * z[name] for name in x}
