"""AGZO, equations (1)-(4) of zojax/methods/_agzo.py, in numpy loops."""

import numpy as np


def basis(inputs, start, iterations):
    """Columns that span what the rows of `inputs` have most of, as equation (1) says."""
    q = start
    for _ in range(iterations):
        q = gram_schmidt(inputs.T @ (inputs @ q))
    return q


def gram_schmidt(columns):
    """Orthonormal columns."""
    done = []
    for column in columns.T:
        for other in done:
            column = column - (other @ column) * other
        for other in done:
            column = column - (other @ column) * other
        done.append(column / np.sqrt(column @ column))
    return np.stack(done, 1)


def agzo(loss, inputs, x, starts, noise, *, learning_rate, radius, iterations, weight_decay=0.0):
    """Runs one step for every entry of `noise` and returns the params.

    Args:
      loss: params -> float.
      inputs: params -> a dict of X, (tokens, n), for the weights that are met.
      x: a dict of float64 arrays.
      starts: for every step a dict of Ω, (n, r), for these weights.
      noise: for every step a list of dicts, one for each query: R, (m, r), for these weights, z for
        others.
      learning_rate: η.
      radius: ε.
      iterations: p.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    for start, queries in zip(starts, noise, strict=True):
        base = loss(x)
        spans = {name: basis(met, start[name], iterations) for name, met in inputs(x).items()}
        step = {name: weight_decay * value for name, value in x.items()}
        for drawn in queries:
            z = {name: spans[name] @ drawn[name].T if name in spans else drawn[name] for name in x}
            there = loss({name: x[name] + radius * z[name] for name in x})
            for name in x:
                step[name] = step[name] + (there - base) / radius * z[name] / len(queries)
        x = {name: x[name] - learning_rate * step[name] for name in x}
    return x
