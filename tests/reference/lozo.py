"""LOZO and LOZO-M, equations (2)-(7) of zojax/methods/_lozo.py, in numpy loops."""

import numpy as np


def lozo(loss, x, steps, *, learning_rate, radius, momentum, weight_decay=0.0):
    """Runs the steps and returns the params and the slopes s.

    Weights are moved in place, + ε Z, - 2 ε Z, + ε Z.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      steps: for every step (V, noise): a dict of V, (n, r), for the matrices, and a dict of U,
        (m, r), for these and z for the others.
      learning_rate: η.
      radius: ε.
      momentum: β; 0 for LOZO.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    averages, before, slopes = None, None, []
    for right, noise in steps:
        z = {name: _lifted(name, value, right) for name, value in noise.items()}
        _shift(x, radius, z)
        above = loss(x)
        _shift(x, -2 * radius, z)
        below = loss(x)
        _shift(x, radius, z)
        slopes.append((above - below) / (2 * radius))
        fresh = {name: slopes[-1] * value for name, value in noise.items()}
        if averages is None:
            averages = fresh
        else:
            for name, value in right.items():
                if not np.array_equal(value, before[name]):
                    averages[name] = averages[name] @ (before[name].T @ value) / len(value)
            averages = {
                name: momentum * averages[name] + (1 - momentum) * fresh[name] for name in fresh
            }
        before = right
        for name, value in averages.items():
            u = _lifted(name, value, right)
            x[name] -= learning_rate * (u + weight_decay * x[name])
    return x, np.array(slopes)


def _lifted(name, value, right):
    if name not in right:
        return value
    return value @ right[name].T / np.sqrt(value.shape[1])


def _shift(x, by, z):
    for name, value in z.items():
        x[name] += by * value
