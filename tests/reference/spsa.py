"""SPSA as Spall (1998) states it, equations (1)-(4) of zojax/methods/_spsa.py, in a numpy loop."""

import numpy as np


def spsa(loss, x, directions, *, a, c, stability, alpha, gamma):
    """Runs one step for every entry of `directions` and returns the params.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      directions: for every step a dict like x, of entries -1 and 1.
      a: of the gain a_k.
      c: of the gain c_k.
      stability: A.
      alpha: α.
      gamma: γ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    for k, delta in enumerate(directions, start=1):
        a_k = a / (k + stability) ** alpha
        c_k = c / k**gamma
        above = loss({name: x[name] + c_k * delta[name] for name in x})
        below = loss({name: x[name] - c_k * delta[name] for name in x})
        x = {name: x[name] - a_k * (above - below) / (2 * c_k * delta[name]) for name in x}
    return x
