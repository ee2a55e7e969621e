"""EGGROLL, equations (1)-(5) of zojax/methods/_eggroll.py with plain descent, in numpy loops."""

import numpy as np


def eggroll(loss, x, steps, *, learning_rate, radius, fitness, antithetic, num_groups=1):
    """Runs the steps and returns the params.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      steps: for every step a list of K dicts: pairs A, B for the matrices, z for the others.
      learning_rate: η.
      radius: σ.
      fitness: "centered", "zscore", "rank" or "sign".
      antithetic: whether there are two points a direction.
      num_groups: groups of successive directions.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    signs = (1, -1) if antithetic else (1,)
    for directions in steps:
        members = [(sign, _whole(one)) for one in directions for sign in signs]
        losses = np.array(
            [loss({n: x[n] + sign * radius * e[n] for n in x}) for sign, e in members]
        )
        scores = _scores(losses, radius, fitness, num_groups)
        update = {name: np.zeros_like(value) for name, value in x.items()}
        for (sign, e), score in zip(members, scores, strict=True):
            for name in x:
                update[name] += score * sign * e[name] / len(members)
        x = {name: x[name] - learning_rate * update[name] for name in x}
    return x


def _whole(one):
    def multiplied(part):
        if not isinstance(part, tuple):
            return part
        a, b = part
        return a @ b.T / np.sqrt(a.shape[1])

    return {name: multiplied(part) for name, part in one.items()}


def _scores(losses, radius, fitness, num_groups):
    if fitness == "rank":
        order = sorted(losses)
        return np.array([order.index(f) for f in losses]) / (len(losses) - 1) - 0.5
    if fitness == "sign":
        return np.array([np.sign(losses[i] - losses[i ^ 1]) for i in range(len(losses))])
    groups = losses.reshape(num_groups, -1)
    centered = np.concatenate([group - group.mean() for group in groups])
    return centered / (radius if fitness == "centered" else losses.std())
