"""DiZO (arXiv:2502.03304) with relative distances, in plain numpy loops."""

import numpy as np


def dizo(loss, x, cycles, *, learning_rate, radius, projection_radius, projection_rate, bound):
    """Runs cycles of descent and projection, and returns the params and all γ.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays; all of them are projected.
      cycles: for each (noise, ζ): a list of dicts like x, and a list of dicts of numbers.
      learning_rate: η.
      radius: ε.
      projection_radius: ε'.
      projection_rate: σ.
      bound: τ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    start = {name: value.copy() for name, value in x.items()}
    history = []
    for noise, numbers in cycles:
        for z in noise:
            above, below = (
                loss({name: x[name] + by * z[name] for name in x}) for by in (radius, -radius)
            )
            slope = (above - below) / (2 * radius)
            x = {name: x[name] - learning_rate * slope * z[name] for name in x}
        away = {name: x[name] - start[name] for name in x}
        ratio = dict.fromkeys(x, 1.0)
        for drawn in numbers:
            limit = bound / projection_radius
            zeta = {name: np.clip(drawn[name], -limit, limit) for name in x}
            above, below = (
                loss(
                    {name: start[name] + (ratio[name] + by * zeta[name]) * away[name] for name in x}
                )
                for by in (projection_radius, -projection_radius)
            )
            slope = (above - below) / (2 * projection_radius)
            for name in x:
                moved = ratio[name] - projection_rate * slope * zeta[name]
                ratio[name] = np.clip(moved, 1 - bound, 1 + bound)
            history.append(dict(ratio))
        x = {name: start[name] + ratio[name] * away[name] for name in x}
    return x, history
