"""The loss at perturbed params, without the perturbed params."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName, check, share_queries
from zojax._typing import Params, ValueFn
from zojax.directions import Directions, OneByOne, drawn_once, drawn_together
from zojax.evaluation import (  # noqa: F401  (registers the rules)
    _contractions,
    _control,
    _placement,
    _structure,
)
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._pieces import in_pieces

# A block of a wide leaf holds this share of all entries, so its perturbed copies for a pair of
# points add a few percent to the memory of the weights; small models are not worth cutting.
_SHARE = 1 / 128
_LEAST_BLOCK = 1 << 16


def evaluate(
    value_fn: ValueFn,
    params: Params,
    directions: Directions | OneByOne,
    radius: ArrayLike,
    *,
    chunk_size: int = 1,
    materialize: bool = False,
    has_aux: bool = False,
    axes: Axes = Axes(),
) -> Any:
    """Returns the losses value_fn(params + radius z_k) of K directions.

    `value_fn` is traced with lazily perturbed arrays in the place of the leaves: where it
    contracts, gathers, slices, transposes, casts or scans over one, the noise is drawn there, used
    and forgotten; any other operation gets the perturbed leaf. So any loss is right, and neither
    the perturbed params nor the directions exist as a whole. Points along one direction run in
    lockstep (`vmap`) and share its noise.

    Args:
      value_fn: `value_fn(params) -> ()` floating, or `(value, aux)` with `has_aux`.
      params: a tree of floating-point arrays.
      directions: K directions, as a sampler draws them, or how to draw them one by one.
      radius: shape () for one point along every direction, (P,) for P points along each (signed),
        or (K, P).
      chunk_size: directions that are evaluated side by side (`vmap`); the chunks follow one
        another. Dense directions of a chunk exist for a leaf at a time, and activations for all of
        them.
      materialize: forms the perturbed params instead; the reference for tests.
      has_aux: whether `value_fn` returns `(value, aux)`.
      axes: of the mesh along which directions are shared out, and weights stored in parts.

    Returns:
      Losses of shape (K,) or (K, P), at least float32; with `has_aux`, (losses, aux) with those
      axes leading in every leaf of aux. Costs as many loss evaluations as there are losses.

    Raises:
      TypeError: if `value_fn` does not return a scalar, or `params` have leaves that are not
        floating.
      ValueError: for a `chunk_size` below 1, a radius of another shape, or axes that the mesh does
        not have or that do not divide the directions.
    """
    _checks.at_least(1, chunk_size=chunk_size)
    _checks.whole(params)
    _checks.floating(params)
    if isinstance(directions, OneByOne):
        num_queries, draw = directions
        directions = jnp.arange(num_queries)
    else:
        num_queries, draw = jax.tree.leaves(directions)[0].shape[0], lambda direction: direction
    check(axes, num_queries)
    radii = _radii(radius, num_queries)
    at = _materialized(value_fn, params) if materialize else _lazy(value_fn, params, axes.gathered)

    def at_point(direction: Directions, radius: jax.Array) -> tuple[jax.Array, Any]:
        out = at(direction, radius)
        value, aux = out if has_aux else (out, ())
        _checks.scalar_loss(value)
        return value.astype(jnp.promote_types(value.dtype, jnp.float32)), aux

    along = jax.vmap(at_point, in_axes=(None, 0))

    def of_queries(queries: Any) -> tuple[jax.Array, Any]:
        directions, radii = queries
        if len(radii) == 1:
            one = jax.tree.map(lambda array: array[0], directions)
            return jax.tree.map(lambda array: array[None], along(draw(one), radii[0]))
        return jax.lax.map(
            lambda query: along(draw(query[0]), query[1]),
            queries,
            batch_size=None if chunk_size == 1 else min(chunk_size, len(radii)),
        )

    losses, aux = share_queries(of_queries, (directions, radii), axes)
    if jnp.ndim(radius) == 0:
        losses, aux = jax.tree.map(lambda array: array[:, 0], (losses, aux))
    return (losses, aux) if has_aux else losses


def _radii(radius: ArrayLike, num_queries: int) -> jax.Array:
    """(K, P)."""
    radii = jnp.asarray(radius, jnp.result_type(float))
    if (radii.ndim == 2 and radii.shape[0] != num_queries) or radii.ndim > 2:
        raise ValueError(
            f"radius must have shape (), (points,) or (directions, points) = ({num_queries}, ...), "
            f"got {radii.shape}"
        )
    if radii.ndim < 2:
        radii = jnp.broadcast_to(radii, (num_queries, math.prod(radii.shape)))
    return radii


def _lazy(value_fn: ValueFn, params: Params, gathered: AxisName):
    leaves, treedef = jax.tree.flatten(params)
    budget = max(int(_SHARE * sum(leaf.size for leaf in leaves)), _LEAST_BLOCK)
    of_lazy = in_pieces(value_fn)

    def at(direction: Directions, radius: jax.Array) -> Any:
        lazy = _perturbed(leaves, direction, radius, budget, gathered)
        return of_lazy(treedef.unflatten(lazy))

    return at


def _materialized(value_fn: ValueFn, params: Params):
    leaves, treedef = jax.tree.flatten(params)

    def at(direction: Directions, radius: jax.Array) -> Any:
        moved = [leaf.dense() for leaf in _perturbed(leaves, direction, radius, 0, ())]
        return value_fn(treedef.unflatten(moved))

    return at


def _perturbed(
    leaves: list[jax.Array],
    direction: Directions,
    radius: jax.Array,
    budget: int,
    gathered: AxisName,
) -> list[Perturbed]:
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    shapes = [leaf.shape for leaf in leaves]
    recipes = drawn_together(drawn_once(direction, shapes), shapes)
    return [
        Perturbed(leaf, recipe, radius, (leaf.dtype,), budget, tuple(range(leaf.ndim)), gathered)
        for leaf, recipe in zip(leaves, recipes, strict=True)
    ]
