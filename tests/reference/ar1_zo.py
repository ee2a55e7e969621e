"""AR1-ZO (arXiv:2605.19767) as its abstract is best read, in plain numpy loops."""

import numpy as np


def ar1_zo(loss, layers, directions, turns, *, learning_rate, radius, adam=None):
    """Runs one step for every entry of `directions`; returns the layers and all slopes.

    Args:
      loss: layers -> float.
      layers: a list of (A, B), (in, r) and (r, out).
      directions: for every step a list of (p, q), (in,) and (out,), one pair for every layer.
      turns: for every step a list of atoms, one for every layer, None for a layer that waits.
      learning_rate: η.
      radius: μ.
      adam: (b1, b2, eps) to give every atom an Adam of its own, which counts its own steps.
    """
    layers = [tuple(np.array(factor, np.float64) for factor in pair) for pair in layers]
    moments = {}
    slopes = []
    for step, atoms in zip(directions, turns, strict=True):

        def shift(by, atoms=atoms, step=step):
            for (a, b), atom, (p, q) in zip(layers, atoms, step, strict=True):
                if atom is not None:
                    a[:, atom] += by * p
                    b[atom] += by * q

        shift(radius)
        above = loss(layers)
        shift(-2 * radius)
        below = loss(layers)
        shift(radius)
        slope = (above - below) / (2 * radius)
        for place, ((a, b), atom, parts) in enumerate(zip(layers, atoms, step, strict=True)):
            if atom is None:
                continue
            p, q = (slope * np.asarray(part, np.float64) for part in parts)
            if adam:
                p = _adam(moments, (place, atom, "a"), p, *adam)
                q = _adam(moments, (place, atom, "b"), q, *adam)
            a[:, atom] -= learning_rate * p
            b[atom] -= learning_rate * q
        slopes.append(slope)
    return layers, np.array(slopes)


def _adam(moments, name, gradient, b1, b2, eps):
    count, m, v = moments.get(name, (0, 0.0, 0.0))
    count, m, v = count + 1, b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
    moments[name] = count, m, v
    return m / (1 - b1**count) / (np.sqrt(v / (1 - b2**count)) + eps)
