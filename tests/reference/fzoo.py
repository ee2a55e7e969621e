"""FZOO and FZOO-R, equations (1)-(3) of zojax/methods/_fzoo.py, in numpy loops."""

import numpy as np


def fzoo(loss, x, directions, *, learning_rate, radius, ddof, reuse, weight_decay=0.0):
    """Runs one step for every entry of `directions` and returns the params and all σ.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a list of dicts like x, one for every query.
      learning_rate: η.
      radius: ε.
      ddof: δ.
      reuse: whether σ is also of the step before.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    before, spreads = [], []
    for queries in directions:
        base = loss(x)
        above = [loss({name: x[name] + radius * u[name] for name in x}) for u in queries]
        differences = [value - base for value in above]
        spreads.append(np.std(differences + before, ddof=ddof))
        before = differences if reuse else []
        step = {name: weight_decay * value for name, value in x.items()}
        for difference, u in zip(differences, queries, strict=True):
            for name in x:
                step[name] = step[name] + difference * u[name] / (len(queries) * spreads[-1])
        x = {name: x[name] - learning_rate * step[name] for name in x}
    return x, np.array(spreads)
