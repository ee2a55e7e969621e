"""MEAZO, equations (1)-(3) of zojax/methods/_meazo.py, in numpy loops."""

import numpy as np


def meazo(loss, x, directions, *, learning_rate, radius, decay, eps, weight_decay=0.0):
    """Runs one step for every entry of `directions` and returns the params.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a list of dicts like x, one for every query.
      learning_rate: η.
      radius: ε.
      decay: β.
      eps: e.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    v = 0.0
    for t, queries in enumerate(directions, start=1):
        slopes = []
        for z in queries:
            above = loss({name: x[name] + radius * z[name] for name in x})
            below = loss({name: x[name] - radius * z[name] for name in x})
            slopes.append((above - below) / (2 * radius))
        v = decay * v + (1 - decay) * np.mean(slopes) ** 2
        root = np.sqrt(v / (1 - decay**t)) + eps
        for name in x:
            pairs = zip(slopes, queries, strict=True)
            estimate = sum(slope * z[name] for slope, z in pairs) / len(queries)
            x[name] = x[name] - learning_rate * (estimate / root + weight_decay * x[name])
    return x
