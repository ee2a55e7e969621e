"""P-GAP (arXiv:2510.18228) in plain numpy loops, its bases and noise given."""

import numpy as np


def p_gap(loss, x, bases, noise, *, learning_rate, radius, delta, scale):
    """Runs one step for every entry of `noise` and returns the params.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      bases: for every step {name: (U, S, V)} of the matrices.
      noise: for every step a dict of (C₀, ξ) for matrices and z for the others.
      learning_rate: η.
      radius: ε.
      delta: δ.
      scale: in front of U C Vᵀ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    for found, drawn in zip(bases, noise, strict=True):
        z = {}
        for name in x:
            if name not in found:
                z[name] = drawn[name]
                continue
            u, s, v = found[name]
            core, sign = drawn[name]
            size = np.linalg.norm(s)
            core = core - (np.sum(s * core) - sign * np.sqrt(delta) * size) / size**2 * s
            np.testing.assert_allclose(np.sum(s * core), sign * np.sqrt(delta) * size, rtol=1e-9)
            z[name] = scale * u @ core @ v.T
        above, below = (
            loss({name: x[name] + by * z[name] for name in x}) for by in (radius, -radius)
        )
        slope = (above - below) / (2 * radius)
        x = {name: x[name] - learning_rate * slope * z[name] for name in x}
    return x


def rough_gradient(loss, x, probes, radius):
    """Ĝ: the mean of central estimates along these dicts."""
    total = {name: np.zeros_like(value) for name, value in x.items()}
    for z in probes:
        above, below = (
            loss({name: x[name] + by * z[name] for name in x}) for by in (radius, -radius)
        )
        for name in x:
            total[name] += (above - below) / (2 * radius) * z[name] / len(probes)
    return total
