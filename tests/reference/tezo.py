"""TeZO, TeZO-m and TeZO-Adam, equations (2)-(4) of zojax/methods/_tezo.py, in numpy loops."""

import numpy as np


def tezo(loss, x, bases, noise, *, variant, learning_rate, radius, b1, b2, eps, weight_decay=0.0):
    """Runs one step for every entry of `noise` and returns the params.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      bases: a dict of pairs U, V for the matrices.
      noise: for every step a dict of τ for the matrices and z for the others.
      variant: "plain", "momentum" or "adam".
      learning_rate: η.
      radius: ε.
      b1: β₁.
      b2: β₂.
      eps: e.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    a = {name: np.zeros_like(value) for name, value in noise[0].items()}
    c = {name: np.zeros_like(value) for name, value in noise[0].items()}

    def lifted(name, value, power=1):
        if name not in bases:
            return value
        u, v = (part**power for part in bases[name])
        return u @ np.diag(value) @ v.T / np.sqrt(len(value)) ** power

    for drawn in noise:
        z = {name: lifted(name, value) for name, value in drawn.items()}
        above = loss({name: x[name] + radius * z[name] for name in x})
        below = loss({name: x[name] - radius * z[name] for name in x})
        slope = (above - below) / (2 * radius)
        for name in x:
            estimate = slope * drawn[name]
            a[name] = b1 * a[name] + (1 - b1) * estimate
            c[name] = b2 * c[name] + (1 - b2) * estimate**2
            step = lifted(name, estimate if variant == "plain" else a[name])
            if variant == "adam":
                step = step / np.sqrt(lifted(name, c[name], power=2) + eps)
            x[name] = x[name] - learning_rate * (step + weight_decay * x[name])
    return x
