"""MeZO-GV and MeZO-Greedy (arXiv:2601.04710) in plain numpy loops."""

import numpy as np


def mezo_gv(loss, x, candidates, *, learning_rate, radius, rule, elite, remember=False):
    """Runs one step for every entry of `candidates`; with `remember` the last of them is replaced.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      candidates: for every step a list of dicts like x.
      learning_rate: η.
      radius: ε.
      rule: "contrast" or "greedy".
      elite: m.
      remember: whether the best candidate of a step takes part in the next.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    best = None
    for drawn in candidates:
        if remember and best is not None:
            drawn = [*drawn[:-1], best]
        values = [loss(_moved(x, radius, z)) for z in drawn]
        ranked = [drawn[place] for place in np.argsort(values)]
        best = ranked[0]
        if rule == "greedy":
            v = best
        else:
            v = {
                name: np.mean([z[name] for z in ranked[:elite]], 0)
                - np.mean([z[name] for z in ranked[elite:]], 0)
                for name in x
            }
        slope = (loss(_moved(x, radius, v)) - loss(_moved(x, -radius, v))) / (2 * radius)
        x = _moved(x, -learning_rate * slope, v)
    return x


def _moved(x, by, z):
    return {name: x[name] + by * z[name] for name in x}
