"""ZoAR as the released code of arXiv:2506.14460 runs it, in plain numpy loops."""

import collections

import numpy as np


def zoar(
    loss,
    x,
    directions,
    *,
    learning_rate,
    radius,
    history,
    rule,
    per_block=False,
    ddof=1,
    antithetic=False,
):
    """Runs one step for every entry of `directions` and returns the params.

    The buffer holds what was measured and the directions themselves.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a list of dicts like x, one for every query.
      learning_rate: η.
      radius: μ.
      history: N.
      rule: estimate -> update, dicts like x.
      per_block: a baseline for each step.
      ddof: what is subtracted from the number of losses.
      antithetic: both z and -z are measured, each an entry of its own.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    buffer = collections.deque(maxlen=history + 1)
    for queries in directions:
        signs = (1, -1) if antithetic else (1,)
        points = [{name: sign * z[name] for name in x} for z in queries for sign in signs]
        losses = [loss({name: x[name] + radius * z[name] for name in x}) for z in points]
        buffer.append(list(zip(losses, points, strict=True)))
        blocks = buffer if per_block else [[entry for block in buffer for entry in block]]
        divisor = sum(len(block) - ddof for block in blocks)
        estimate = {name: np.zeros_like(value) for name, value in x.items()}
        for block in blocks:
            baseline = sum(y for y, _ in block) / len(block)
            for y, z in block:
                for name in x:
                    estimate[name] += (y - baseline) / radius * z[name] / divisor
        update = rule(estimate)
        for name in x:
            x[name] -= learning_rate * update[name]
    return x


def descent(estimate):
    """The rule of plain descent."""
    return estimate


class Moments:
    """The rules R-AdaZO (`refined`) and Adam without bias correction, one instance a run."""

    def __init__(self, *, refined, b1=0.9, b2=0.99, eps=1e-8):
        self.refined, self.b1, self.b2, self.eps = refined, b1, b2, eps
        self.m = self.v = None

    def __call__(self, estimate):
        if self.m is None:
            self.m = {name: 0.0 for name in estimate}
            self.v = dict(self.m)
        update = {}
        for name, g in estimate.items():
            self.m[name] = self.b1 * self.m[name] + (1 - self.b1) * g
            squared = self.m[name] if self.refined else g
            self.v[name] = self.b2 * self.v[name] + (1 - self.b2) * squared**2
            update[name] = self.m[name] / (np.sqrt(self.v[name]) + self.eps)
        return update
