"""KerZOO as arXiv:2505.18886 has it, with s in (-1, 1), in plain numpy loops."""

import numpy as np

KERNELS = {
    2: lambda s: 3 * s,
    4: lambda s: 15 / 4 * s * (5 - 7 * s**2),
    6: lambda s: 105 / 64 * s * (99 * s**4 - 126 * s**2 + 35),
}


def kerzoo(loss, x, directions, multipliers, *, learning_rate, radius, order):
    """Runs one step for every entry of `directions`, moving the weights in place as MeZO does.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a list of dicts like x, one for every query.
      multipliers: s, (steps, queries).
      learning_rate: η.
      radius: ε.
      order: of the kernel.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    for queries, of_step in zip(directions, multipliers, strict=True):
        coefficients = []
        for u, s in zip(queries, of_step, strict=True):
            _shift(x, radius * s, u)
            above = loss(x)
            _shift(x, -2 * radius * s, u)
            below = loss(x)
            _shift(x, radius * s, u)
            coefficients.append((above - below) / (2 * radius) * KERNELS[order](s))
        for c, u in zip(coefficients, queries, strict=True):
            _shift(x, -learning_rate / len(queries) * c, u)
    return x


def _shift(x, by, u):
    for name in x:
        x[name] += by * u[name]
