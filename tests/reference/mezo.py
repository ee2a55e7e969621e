"""MeZO as Algorithms 1 and 2 of arXiv:2305.17333 state it, in plain numpy loops."""

import numpy as np


def mezo(loss, x, directions, *, learning_rate, radius, weight_decay=0.0, decayed=()):
    """Runs one step for every entry of `directions` and returns the params and all slopes.

    The weights are moved in place, as the paper does it: + ε z, - 2 ε z, + ε z, then the update.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a list of dicts like x, one for every query.
      learning_rate: η.
      radius: ε.
      weight_decay: λ.
      decayed: names of the arrays that decay.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    history = []
    for queries in directions:
        slopes = []
        for z in queries:
            _shift(x, radius, z)
            above = loss(x)
            _shift(x, -2 * radius, z)
            below = loss(x)
            _shift(x, radius, z)
            slopes.append((above - below) / (2 * radius))
        decay = {name: weight_decay * x[name] for name in decayed}
        for slope, z in zip(slopes, queries, strict=True):
            _shift(x, -learning_rate / len(queries) * slope, z)
        _shift(x, -learning_rate, decay)
        history.append(slopes)
    return x, np.array(history)


def _shift(x, by, z):
    for name, value in z.items():
        x[name] += by * np.asarray(value, np.float64)
