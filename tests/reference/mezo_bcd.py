"""MeZO-BCD, equations (1)-(4) of zojax/methods/_mezo_bcd.py, in plain numpy loops."""

import numpy as np


def mezo_bcd(loss, x, blocks, turns, directions, *, learning_rate, radius, weight_decay=0.0):
    """Runs one step for every entry of `turns` and returns the params and all slopes.

    The weights of the block are moved in place, as MeZO does it: + ε z, - 2 ε z, + ε z, then the
    update. Nothing outside the block is ever written.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      blocks: for every block a list of (name, index): its parts are x[name][index].
      turns: for every step the number of the active block.
      directions: for every step a list of dicts like x, one for every query.
      learning_rate: η, one for every step.
      radius: ε.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    history = []
    for turn, queries, rate in zip(turns, directions, learning_rate, strict=True):
        block = blocks[turn]
        slopes = []
        for z in queries:
            _shift(x, block, radius, z)
            above = loss(x)
            _shift(x, block, -2 * radius, z)
            below = loss(x)
            _shift(x, block, radius, z)
            slopes.append((above - below) / (2 * radius))
        before = {name: value.copy() for name, value in x.items()}
        for slope, z in zip(slopes, queries, strict=True):
            _shift(x, block, -rate / len(queries) * slope, z)
        _shift(x, block, -rate * weight_decay, before)
        history.append(slopes)
    return x, np.array(history)


def _shift(x, block, by, z):
    for name, index in block:
        x[name][index] += by * np.asarray(z[name], np.float64)[index]
