"""HiZOO, equations (1)-(5) of zojax/methods/_hizoo.py, in numpy loops."""

import numpy as np


def hizoo(
    loss, x, noise, *, learning_rate, radius, curvature_rate, weight_decay=0.0, factored=False
):
    """Runs one step for every entry of `noise` and returns the params and h.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      noise: for every step a list of dicts of u like x, one for every query.
      learning_rate: η.
      radius: ε.
      curvature_rate: a.
      weight_decay: λ.
      factored: HiZOO-L, equation (6) for matrices.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    h = {name: np.ones_like(value) for name, value in x.items()}
    for queries in noise:
        base = loss(x)
        step = {name: weight_decay * value for name, value in x.items()}
        growth = {name: np.zeros_like(value) for name, value in x.items()}
        for u in queries:
            z = {name: u[name] / np.sqrt(h[name]) for name in x}
            above = loss({name: x[name] + radius * z[name] for name in x})
            below = loss({name: x[name] - radius * z[name] for name in x})
            slope = (above - below) / (2 * radius)
            curvature = abs(above + below - 2 * base) / radius**2
            for name in x:
                step[name] += slope * z[name] / len(queries)
                growth[name] += curvature / 2 * h[name] * u[name] ** 2 / len(queries)
        x = {name: x[name] - learning_rate * step[name] for name in x}
        h = {n: (1 - curvature_rate) * h[n] + curvature_rate * growth[n] for n in x}
        if factored:
            h = {n: _of_rank_one(value) if value.ndim == 2 else value for n, value in h.items()}
    return x, h


def _of_rank_one(h):
    """Equation (6). Only means of h are kept, and those of (5) are of what they make of it."""
    rows = [sum(row) / len(row) for row in h]
    columns = [sum(column) / len(column) for column in h.T]
    mean = sum(rows) / len(rows)
    return np.array([[row * column / mean for column in columns] for row in rows])
