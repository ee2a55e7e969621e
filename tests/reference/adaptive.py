"""The adaptive rules and their baselines as their sources state them, in plain numpy loops.

Everywhere x is one flat float64 vector of d entries, and `directions` holds for every step the
vectors of its queries. Sources: R-AdaZO arXiv:2502.01014, ZO-AdaMM arXiv:1910.06513, the rest from
the primer arXiv:2006.06224.
"""

import numpy as np


def random_estimate(loss, x, us, radius, factor=1.0):
    """φ/K Σ_k [f(x + μ u_k) - f(x)]/μ u_k; φ = 1 for gaussian u, d on the unit sphere."""
    base = loss(x)
    total = np.zeros_like(x)
    for u in us:
        total += (loss(x + radius * u) - base) / radius * u
    return factor * total / len(us)


def sphere_estimate(loss, x, zs, radius):
    """The same in the terms of the papers, given z = √d u and the radius along z."""
    root = np.sqrt(x.size)
    return random_estimate(loss, x, [z / root for z in zs], radius * root, factor=x.size)


def coordinate_estimate(loss, x, radius, *, central):
    """CGE: the difference quotient of every entry."""
    estimate = np.zeros_like(x)
    for i in range(x.size):
        ahead, behind = x.copy(), x.copy()
        ahead[i] += radius
        if central:
            behind[i] -= radius
            estimate[i] = (loss(ahead) - loss(behind)) / (2 * radius)
        else:
            estimate[i] = (loss(ahead) - loss(behind)) / radius
    return estimate


def random_coordinates_estimate(loss, x, indices, radius):
    """ZO-SCD: central quotients of these entries, drawn with replacement, times d over how many."""
    estimate = np.zeros_like(x)
    for i in indices:
        ahead, behind = x.copy(), x.copy()
        ahead[i] += radius
        behind[i] -= radius
        estimate[i] += (loss(ahead) - loss(behind)) / (2 * radius)
    return x.size / len(indices) * estimate


def zo_sgd(loss, x, directions, *, learning_rate, radius):
    for zs in directions:
        x = x - learning_rate * sphere_estimate(loss, x, zs, radius)
    return x


def zo_sign_sgd(loss, x, directions, *, learning_rate, radius):
    for zs in directions:
        x = x - learning_rate * np.sign(sphere_estimate(loss, x, zs, radius))
    return x


def zo_rmsprop(loss, x, directions, *, learning_rate, radius, b2, zeta):
    v = np.zeros_like(x)
    for us in directions:
        g = random_estimate(loss, x, us, radius)
        v = b2 * v + (1 - b2) * g**2
        x = x - learning_rate * g / np.sqrt(v + zeta)
    return x


def zo_adamm(
    loss, x, directions, *, learning_rate, radius, b1, b2, eps, amsgrad, lower=-np.inf, upper=np.inf
):
    """Algorithm 1 with amsgrad, without it the form of the R-AdaZO group's code."""
    m = np.zeros_like(x)
    v = np.full_like(x, 1e-7 if amsgrad else 0.0)
    largest = v.copy()
    for zs in directions:
        g = sphere_estimate(loss, x, zs, radius)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v)
        root = np.sqrt(largest if amsgrad else v)
        x = nearest_in_box(x - learning_rate * m / (root + eps), lower, upper, weights=root)
    return x


def nearest_in_box(a, lower, upper, weights):
    """The minimizer of Σ_i w_i (y_i - a_i)² over the box, entry by entry among all candidates."""
    point = np.zeros_like(a)
    for i, w in enumerate(weights):
        candidates = [y for y in (a[i], lower, upper) if lower <= y <= upper and np.isfinite(y)]
        point[i] = min(candidates, key=lambda y: w * (y - a[i]) ** 2)
    return point


def r_adazo(loss, x, directions, *, learning_rate, radius, b1, b2, eps, zeta=0.0, ones_before=0):
    """The denominator is 1 in steps t < ones_before, t counted from 1."""
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, us in enumerate(directions, start=1):
        g = random_estimate(loss, x, us, radius)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * m**2
        root = np.ones_like(x) if t < ones_before else np.sqrt(v + zeta) + eps
        x = x - learning_rate * m / root
    return x
