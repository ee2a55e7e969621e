"""GRZO, equations (1)-(4) of zojax/methods/_grzo.py, in numpy loops."""

import numpy as np


def grzo(loss, x, noise, signs, *, learning_rate, radius, epsilon=1e-8, weight_decay=0.0):
    """Runs one step for every entry of `noise` and returns the params.

    Args:
      loss: (params, example) -> float.
      x: a dict of float64 arrays.
      noise: for every step a dict of U like x.
      signs: for every step a list, one for each example, of dicts of (s, t), or s of a vector.
      learning_rate: η.
      radius: ε.
      epsilon: ϵ.
      weight_decay: λ.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    for u, examples in zip(noise, signs, strict=True):
        z, differences = [], []
        for example, flips in enumerate(examples):
            flipped = {name: np.empty_like(value) for name, value in x.items()}
            for name, value in u.items():
                for at in np.ndindex(value.shape):
                    sign = 1.0
                    for flip, place in zip(flips[name], at, strict=True):
                        sign *= flip[place]
                    flipped[name][at] = value[at] * sign
            above = loss({name: x[name] + radius * flipped[name] for name in x}, example)
            below = loss({name: x[name] - radius * flipped[name] for name in x}, example)
            z.append(flipped)
            differences.append(above - below)
        mean = sum(differences) / len(differences)
        spread = np.sqrt(sum((d - mean) ** 2 for d in differences) / len(differences))
        step = {name: weight_decay * value for name, value in x.items()}
        for direction, difference in zip(z, differences, strict=True):
            a = difference / (spread + epsilon)
            for name in x:
                step[name] = step[name] + a * direction[name] / (2 * radius * len(z))
        x = {name: x[name] - learning_rate * step[name] for name in x}
    return x
