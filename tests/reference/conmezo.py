"""ConMeZO as arXiv:2511.02757 has it, in plain numpy loops over flat vectors."""

import numpy as np


def conmezo(loss, x, noise, *, learning_rate, radius, angle, decays):
    """Runs one step for every entry of `noise` and returns the params and the last momentum.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      noise: u, for every step a list of dicts like x, one for every query.
      learning_rate: η.
      radius: ε.
      angle: θ.
      decays: b, one for every step.
    """
    names = sorted(x)
    flat = np.concatenate([x[name].ravel() for name in names])
    ends = np.cumsum([x[name].size for name in names])[:-1]

    def tree(vector):
        parts = np.split(vector, ends)
        return {name: part.reshape(x[name].shape) for name, part in zip(names, parts, strict=True)}

    momentum = np.zeros_like(flat)
    for queries, decay in zip(noise, decays, strict=True):
        length = np.linalg.norm(momentum)
        estimate = np.zeros_like(flat)
        for of_query in queries:
            z = np.concatenate([of_query[name].ravel() for name in names])
            if length > 0:
                axis = np.sqrt(len(flat)) * momentum / length
                z = np.cos(angle) * axis + np.sin(angle) * z
            above, below = loss(tree(flat + radius * z)), loss(tree(flat - radius * z))
            estimate += (above - below) / (2 * radius) * z / len(queries)
        flat = flat - learning_rate * estimate
        momentum = decay * momentum + (1 - decay) * estimate
    return tree(flat), tree(momentum)
