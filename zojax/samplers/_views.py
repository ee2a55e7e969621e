"""Which leaves are matrices, and how they are read as such."""

from collections.abc import Callable

import jax

from zojax.recipes import MatrixView

Views = Callable[[tuple, jax.Array], MatrixView | None]
"""(path, leaf) -> the leaf's view, or None where it is no matrix."""


def last_two_axes(path: tuple, leaf: jax.Array) -> MatrixView | None:
    """The default view: the last two axes are a matrix, those before them a batch.

    Right for kernels (in, out), embeddings, and stacks of either. Attention kernels with an axis
    for the heads need a view of their own: to tell them from a stack takes the user's knowledge.
    """
    del path
    if leaf.ndim < 2:
        return None
    first = leaf.ndim - 2
    return MatrixView(rows=(first,), columns=(first + 1,), batch=tuple(range(first)))


def last_axis_rows(path: tuple, leaf: jax.Array) -> MatrixView | None:
    """The last axis counts rows, the one before it columns, those before them a batch.

    The outputs of a Flax kernel (in, out) are then its rows, as in a PyTorch weight. Biases and
    scales are no matrices, also where they lie stacked, (layers, features): leaves below a name
    "bias" or "scale", which is what Flax calls them.
    """
    if leaf.ndim < 2 or _is_vector_by_name(path):
        return None
    last = leaf.ndim - 1
    return MatrixView(rows=(last,), columns=(last - 1,), batch=tuple(range(last - 1)))


def smaller_side(path: tuple, leaf: jax.Array) -> MatrixView | None:
    """As `last_axis_rows`, but the shorter of the last two axes counts rows."""
    view = last_axis_rows(path, leaf)
    if view is None or leaf.shape[-1] <= leaf.shape[-2]:
        return view
    return view._replace(rows=view.columns, columns=view.rows)


def _is_vector_by_name(path: tuple) -> bool:
    names = {jax.tree_util.keystr((entry,), simple=True) for entry in path}
    return bool(names & {"bias", "scale"})


def checked_view(views: Views, path: tuple, leaf: jax.Array) -> MatrixView | None:
    """The view of a leaf.

    Raises:
      ValueError: unless the view names every axis of the leaf once.
    """
    view = views(path, leaf)
    if view is None:
        return None
    axes = (*view.batch, *view.rows, *view.columns)
    if sorted(axes) != list(range(leaf.ndim)) or not view.rows or not view.columns:
        raise ValueError(
            f"views gave {view} for params{jax.tree_util.keystr(path)} of shape {leaf.shape}; it "
            f"must name each of the axes 0...{leaf.ndim - 1} once, with at least one row and one "
            "column axis"
        )
    return view
