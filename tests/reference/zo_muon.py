"""ZO-Muon as the paper and its official code (OPTML-Group/ZO-Muon) have it, in numpy loops.

Matrices are (out, in), as there. The subspaces P and the noise U, z are given, one P for all
queries of a step, which is what both mean; bugs of the code at a refresh are not followed.
"""

import numpy as np


def zo_muon(
    loss,
    x,
    steps,
    *,
    learning_rate,
    learning_rate_1d,
    radius,
    orthogonalize,
    weight_decay=0.0,
    decayed=(),
):
    """Runs the steps and returns the params and the slopes c of all queries.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      steps: for every step (subspaces, queries): a dict of P, (m, r), for the matrices, and a list
        of dicts of U, (r, n), for the matrices and z for the others. One query: central difference.
      learning_rate: η, of matrices.
      learning_rate_1d: η₁, of the others.
      radius: ε.
      orthogonalize: what is made of ĝ, e.g. `newton_schulz`.
      weight_decay: λ.
      decayed: names of the arrays that decay.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    history = []
    for subspaces, queries in steps:
        slopes = []
        base = loss(x)
        for noise in queries:
            above = loss(_moved(x, radius, subspaces, noise))
            if len(queries) == 1:
                below = loss(_moved(x, -radius, subspaces, noise))
                slopes.append((above - below) / (2 * radius))
            else:
                slopes.append((above - base) / radius)
        for name in x:
            mean = sum(c * noise[name] for c, noise in zip(slopes, queries, strict=True))
            mean = mean / len(queries)
            step, rate = mean, learning_rate_1d
            if name in subspaces:
                step, rate = subspaces[name] @ orthogonalize(mean), learning_rate
            if name in decayed:
                step = step + weight_decay * x[name]
            x[name] = x[name] - rate * step
        history.append(slopes)
    return x, np.array(history)


def _moved(x, by, subspaces, noise):
    moved = {}
    for name, value in x.items():
        z = subspaces[name] @ noise[name] if name in subspaces else noise[name]
        moved[name] = value + by * z
    return moved


def newton_schulz(g):
    """The quintic of the official code, five times."""
    x = g / (np.linalg.norm(g) + 1e-7)
    if g.shape[0] > g.shape[1]:
        x = x.T
    for _ in range(5):
        a = x @ x.T
        b = -4.7750 * a + 2.0315 * (a @ a)
        x = 3.4445 * x + b @ x
    return x.T if g.shape[0] > g.shape[1] else x


def polar(g):
    """The official code's muon_svd."""
    u, _, vt = np.linalg.svd(g, full_matrices=False)
    return u @ vt
