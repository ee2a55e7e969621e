"""Masks and labels, as optax takes them, of the leaves that are matrices."""

from collections.abc import Callable

import jax

from zojax._typing import Params
from zojax.samplers._views import Views


def matrices(views: Views) -> Callable[[Params], Params]:
    """Params -> for every leaf whether it is a matrix."""

    def mask(params: Params) -> Params:
        return jax.tree.map_with_path(lambda path, leaf: views(path, leaf) is not None, params)

    return mask


def vectors(views: Views) -> Callable[[Params], Params]:
    """Params -> for every leaf whether it is no matrix."""

    def mask(params: Params) -> Params:
        return jax.tree.map(lambda is_matrix: not is_matrix, matrices(views)(params))

    return mask


def matrix_or_other(views: Views) -> Callable[[Params], Params]:
    """Params -> for every leaf "matrix" or "other", as optax.partition takes them."""

    def labels(params: Params) -> Params:
        kinds = {True: "matrix", False: "other"}
        return jax.tree.map(kinds.__getitem__, matrices(views)(params))

    return labels
