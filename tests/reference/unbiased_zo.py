"""P₃ and P₄ of arXiv:2510.19953 with a bounded number of levels, in plain numpy loops."""

import numpy as np


def unbiased_zo(loss, x, directions, levels, coins, *, learning_rate, radius, ratio, count):
    """Runs one step for every entry of `directions` and returns the params.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a list of dicts like x, one for every query.
      levels: n of every step and query, from 1 on.
      coins: of every step and query, for P₃: whether the first term is taken; None for P₄.
      learning_rate: η.
      radius: μ.
      ratio: q.
      count: N.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    shares = [(1 - ratio) * ratio ** (n - 1) / (1 - ratio**count) for n in range(1, count + 1)]
    for step, queries in enumerate(directions):

        def difference(z, r, x=x):
            moved = {name: x[name] + r * z[name] for name in x}
            return (loss(moved) - loss(x)) / r

        slopes = []
        for k, z in enumerate(queries):
            n = int(levels[step][k])
            first = difference(z, radius)
            farther, nearer = (difference(z, radius * ratio ** (m - 1)) for m in (n, n + 1))
            rest = (nearer - farther) / shares[n - 1]
            if coins is None:
                slopes.append(first + rest)
            else:
                slopes.append(2 * (first if coins[step][k] else rest))
        x = {
            name: x[name]
            - learning_rate
            * sum(c * z[name] for c, z in zip(slopes, queries, strict=True))
            / len(queries)
            for name in x
        }
    return x
