"""SubZero, equations (2)-(4) of zojax/methods/_subzero.py, in numpy loops.

Weights are moved in place, + ε Z, - 2 ε Z, + ε Z, as the official code (zimingyy/SubZero) does it.
"""

import numpy as np


def subzero(loss, x, steps, *, rank, learning_rate, radius, weight_decay=0.0):
    """Runs the steps and returns the params and the slopes s of all queries.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      steps: for every step (bases, queries): a dict of pairs U, V for the matrices, and a list of
        dicts of C for the matrices and z for the others.
      rank: r.
      learning_rate: η.
      radius: ε.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    history = []
    for bases, queries in steps:
        slopes, total = [], {name: np.zeros_like(value) for name, value in x.items()}
        for noise in queries:
            z = dict(noise)
            for name, (u, v) in bases.items():
                m, n = x[name].shape
                z[name] = np.sqrt(m * n) / rank * u @ noise[name] @ v.T
            _shift(x, radius, z)
            above = loss(x)
            _shift(x, -2 * radius, z)
            below = loss(x)
            _shift(x, radius, z)
            slopes.append((above - below) / (2 * radius))
            _shift(total, slopes[-1] / len(queries), z)
        for name in x:
            x[name] -= learning_rate * (total[name] + weight_decay * x[name])
        history.append(slopes)
    return x, np.array(history)


def _shift(x, by, z):
    for name, value in z.items():
        x[name] += by * value
