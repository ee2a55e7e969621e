"""ZO-AdaMU (arXiv:2312.15184) in the form of the paper, in plain numpy loops."""

import numpy as np


def zo_adamu(loss, x, noise, *, learning_rate, radius, ends, warmup_steps, anneal_steps):
    """Runs one step for every entry of `noise` and returns the params and the last direction.

    Args:
      loss: params -> float.
      x: a dict of float64 arrays.
      noise: for every step the pair n, n' of dicts like x.
      learning_rate: η.
      radius: ε.
      ends: α, b₁, b₂ after annealing.
      warmup_steps: steps with all of them 1.
      anneal_steps: steps of half a cosine.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    m = {name: np.zeros_like(value) for name, value in x.items()}
    for t, (n, other) in enumerate(noise):
        alpha, b1, b2 = (_annealed(end, t, warmup_steps, anneal_steps) for end in ends)
        v = {}
        for name in x:
            new = np.sqrt(alpha) * n[name]
            old = m[name] + np.sqrt(1 - alpha) * other[name]
            m[name] = b1 * new + (1 - b1) * old
            v[name] = b2 * new**2 + (1 - b2) * old**2
        above, below = (
            loss({name: x[name] + by * m[name] for name in x}) for by in (radius, -radius)
        )
        slope = (above - below) / (2 * radius)
        for name in x:
            x[name] = x[name] - learning_rate * slope * m[name] / np.sqrt(v[name] + 1e-8)
    return x, m


def _annealed(end, t, warmup_steps, anneal_steps):
    if t < warmup_steps:
        return 1.0
    if t >= warmup_steps + anneal_steps:
        return end
    return end + (1 - end) * 0.5 * (1 + np.cos(np.pi * (t - warmup_steps) / anneal_steps))
