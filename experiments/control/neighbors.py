"""The scales of a data pipeline's columns, judged by counting mistakes.

Each of the 13 columns of scikit-learn's wines is multiplied by a number of its own before the
nearest neighbor of a wine says of which of three growers it is. The logarithms of these numbers are
what is searched. The loss is the share of wines that get the wrong grower from the nearest other
wine: a multiple of 1/n, flat nearly everywhere, so that a gradient would be zero. The score is the
share of right ones among wines that the search has not seen, with those that it has seen as their
neighbors.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from experiments.control.problem import Problem


def neighbors(*, test_share: float = 0.4) -> Problem:
    """The problem. It starts from the columns as they are, in their units."""
    rows, growers = load_wine(return_X_y=True)
    seen, unseen = train_test_split(
        np.arange(len(growers)), test_size=test_share, stratify=growers, random_state=0
    )
    rows = jnp.asarray(rows, jnp.float32)
    growers = jnp.asarray(growers)
    known, known_growers, others = rows[seen], growers[seen], rows[unseen]

    def start(key: jax.Array) -> jax.Array:
        del key  # the columns as they are
        return jnp.zeros(rows.shape[1])

    def loss(log_scales: jax.Array, key: jax.Array) -> jax.Array:
        del key  # all wines are asked about
        apart = distances(log_scales, known, known)
        apart = jnp.where(jnp.eye(len(known), dtype=bool), jnp.inf, apart)
        return jnp.mean(known_growers[jnp.argmin(apart, axis=1)] != known_growers)

    def score(log_scales: jax.Array) -> jax.Array:
        nearest = jnp.argmin(distances(log_scales, others, known), axis=1)
        return jnp.mean(known_growers[nearest] == growers[unseen])

    return Problem(start, loss, score, "accuracy on unseen wines", 0.5)


def distances(log_scales: jax.Array, left: jax.Array, right: jax.Array) -> jax.Array:
    """Σ_c s_c² (a_c - b_c)² of every row a on the left and b on the right."""
    apart = jnp.exp(log_scales) * (left[:, None] - right[None])
    return jnp.sum(jnp.square(apart), axis=-1)
