"""Sparse-MeZO (arXiv:2402.15751) in plain numpy loops."""

import numpy as np


def sparse_mezo(loss, x, directions, *, learning_rate, radius, sparsity, weight_decay=0.0):
    """Runs one step for every entry of `directions`, and returns the params and the masks.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a list of dicts like x, one for every query.
      learning_rate: η.
      radius: ε.
      sparsity: share of each array that rests.
      weight_decay: λ, of the weights that do not.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    limits = {}
    for name, value in x.items():
        ranked = np.sort(np.abs(value).ravel())
        limits[name] = ranked[round((1 - sparsity) * ranked.size) - 1]
    masks = []
    for queries in directions:
        mask = {name: np.abs(x[name]) <= limits[name] for name in x}
        slopes = []
        for z in queries:
            above, below = (
                loss({name: x[name] + by * mask[name] * z[name] for name in x})
                for by in (radius, -radius)
            )
            slopes.append((above - below) / (2 * radius))
        for name in x:
            mean = sum(s * z[name] for s, z in zip(slopes, queries, strict=True)) / len(queries)
            x[name] = x[name] - learning_rate * mask[name] * (mean + weight_decay * x[name])
        masks.append(mask)
    return x, masks
