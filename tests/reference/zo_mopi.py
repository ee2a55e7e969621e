"""ZO-MOPI, equations (3)-(6) of zojax/methods/_zo_mopi.py, in numpy loops.

Matrices are (out, in), as in the official code. The subspaces P and the noise U, z are given.
"""

import numpy as np


def zo_mopi(
    loss, x, steps, *, learning_rate, learning_rate_1d, radius, momentum, components, weight_decay
):
    """Runs the steps and returns the params.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      steps: for every step (subspaces, queries): a dict of P, (m, r), for the matrices, and a list
        of at least two dicts of U, (r, n), for the matrices and z for the others.
      learning_rate: η, of matrices.
      learning_rate_1d: η₁, of the others.
      radius: ε.
      momentum: β.
      components: k.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    average, right, before = {}, {}, {}
    for subspaces, queries in steps:
        for name, p in subspaces.items():
            if name not in before or not np.array_equal(before[name], p):
                average[name], right[name] = 0.0, None
        before = subspaces
        base = loss(x)
        slopes = []
        for noise in queries:
            z = {n: subspaces[n] @ u if n in subspaces else u for n, u in noise.items()}
            slopes.append((loss({n: x[n] + radius * z[n] for n in x}) - base) / radius)
        for name in x:
            pairs = zip(slopes, queries, strict=True)
            step = sum(c * noise[name] for c, noise in pairs) / len(queries)
            rate = learning_rate_1d
            if name in subspaces:
                average[name] = momentum * average[name] + (1 - momentum) * step
                m = average[name]
                v = m[:components].T if right[name] is None else right[name]
                right[name], _ = np.linalg.qr(m.T @ m @ v)
                left = m @ right[name]
                step = subspaces[name] @ (left / np.linalg.norm(left, axis=0)) @ right[name].T
                rate = learning_rate
            x[name] = x[name] - rate * (step + weight_decay * x[name])
    return x
