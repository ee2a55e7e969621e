"""ZO-HGD (arXiv:2012.11518, as zojax/methods/_zo_hgd.py reads it) in plain numpy loops."""

import numpy as np


def zo_hgd(loss, x, directions, numbers, *, learning_rate, radius, nu, alpha, uniform_share):
    """Runs one step for every entry of `directions` and returns the params, and all coordinates.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: z, for every step a list of dicts like x.
      numbers: in (0, 1), by which coordinates are drawn, (steps, n).
      learning_rate: η.
      radius: μ.
      nu: ν.
      alpha: α.
      uniform_share: κ.
    """
    names = sorted(x)
    ends = np.cumsum([x[name].size for name in names])[:-1]

    def tree(vector):
        parts = np.split(vector, ends)
        return {name: part.reshape(x[name].shape) for name, part in zip(names, parts, strict=True)}

    def flat(values):
        return np.concatenate([np.ravel(values[name]) for name in names])

    vector, chosen = flat(x), []
    for queries, below in zip(directions, numbers, strict=True):
        base = loss(tree(vector))
        random = np.zeros_like(vector)
        for z in map(flat, queries):
            random += (loss(tree(vector + radius * z)) - base) / radius * z / len(queries)
        shares = np.abs(random) / np.abs(random).sum()
        shares = (1 - uniform_share) * shares + uniform_share / shares.size
        by_coordinate = np.zeros_like(vector)
        for u in below:
            j = int(np.argmax(np.cumsum(shares) > u))
            step = np.zeros_like(vector)
            step[j] = nu
            slope = (loss(tree(vector + step)) - loss(tree(vector - step))) / (2 * nu)
            by_coordinate[j] += slope / shares[j] / len(below)
            chosen.append(j)
        vector = vector - learning_rate * (alpha * random + (1 - alpha) * by_coordinate)
    return tree(vector), chosen
