"""The loss at perturbed params, without the perturbed params."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.typing import ArrayLike

from zojax import _checks
from zojax._mesh import Axes, AxisName, check, part_count, share_queries
from zojax._thresholds import block_entries
from zojax._typing import Params, ValueFn
from zojax.evaluation._batching import in_lockstep
from zojax.evaluation._block_pieces import run_in_pieces
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import forward_program
from zojax.recipes import Directions, OneByOne, draw_exclusive_blocks_once, draw_small_leaves


def evaluate(
    value_fn: ValueFn,
    params: Params,
    directions: Directions | OneByOne,
    radius: ArrayLike,
    *,
    chunk_size: int = 1,
    materialize: bool = False,
    has_aux: bool = False,
    shares: Any = None,
    axes: Axes = Axes(),
) -> Any:
    """Returns the losses value_fn(params + radius z_k) of K directions.

    `value_fn` is traced with lazily perturbed arrays in the place of the leaves: where it
    contracts, gathers, slices, transposes, casts or scans over one, the noise is drawn there, used
    and forgotten; any other operation gets the perturbed leaf. So any loss is right, and neither
    the perturbed params nor the directions exist as a whole. Points along one direction run in
    lockstep (`vmap`) and share its noise; on a TPU they take turns, unless several directions are
    evaluated side by side or weights are gathered.

    Args:
      value_fn: `value_fn(params) -> ()` floating, or `(value, aux)` with `has_aux`.
      params: a tree of floating-point arrays.
      directions: K directions, as a sampler draws them, or how to draw them one by one.
      radius: shape () for one point along every direction, (P,) for P points along each (signed),
        or (K, P).
      chunk_size: directions that are evaluated side by side (`vmap`); the chunks follow one
        another. Dense directions of a chunk exist for a leaf at a time, and activations for all of
        them. A loss that is mostly convolutions, or has a part that `vmap` has no rule for, is
        evaluated point by point instead.
      materialize: forms the perturbed params instead; the reference for tests.
      has_aux: whether `value_fn` returns `(value, aux)`.
      shares: what each direction is evaluated with: a tree whose arrays lead with K, of which
        `value_fn(params, share)` is given the entry of its direction. With `chunk_size` = K a batch
        that is cut into K parts takes the memory of the batch.
      axes: of the mesh along which directions are shared out, and weights stored in parts.

    Returns:
      Losses of shape (K,) or (K, P), at least float32; with `has_aux`, (losses, aux) with those
      axes leading in every leaf of aux, none of a weak type. Costs as many loss evaluations as
      there are losses.

    Raises:
      TypeError: if `value_fn` does not return a scalar, or `params` have leaves that are not
        floating.
      ValueError: for params without leaves, a `chunk_size` below 1, a radius or shares of another
        shape, or axes that the mesh does not have or that do not divide the directions.
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
    _check_shares(shares, num_queries)
    radii = _radii(radius, num_queries)
    evaluate_at = _at_dense_params if materialize else _at_perturbed_params

    def loss_with(share: Any) -> _Loss:
        fn = value_fn if shares is None else lambda params: value_fn(params, share)
        return _Loss.of(fn, params)

    def of_queries(queries: Any) -> tuple[jax.Array, Any]:
        _, radii, parts = queries
        loss = loss_with(jax.tree.map(lambda array: array[0], parts))
        batched = in_lockstep(loss.program)
        chunk = min(chunk_size, len(radii)) if batched else 1
        if not batched:
            each_point = _one_by_one
        elif parts is not None:
            each_point = _in_turn_but_on_cpus
        elif chunk > 1 or axes.gathered:  # what is read or sent once for all is worth more
            each_point = jax.vmap
        else:
            each_point = _in_turn_on_tpus

        def along(direction: Directions, radii: jax.Array, share: Any) -> tuple[jax.Array, Any]:
            own = loss if share is None else loss_with(share)

            def at_point(radius: jax.Array) -> tuple[jax.Array, Any]:
                out = evaluate_at(own, perturbed(params, direction, radius, axes.gathered))
                return _checks.value_and_aux(out, has_aux=has_aux)

            return each_point(at_point)(radii)

        if len(radii) == 1:
            one, radii, share = jax.tree.map(lambda array: array[0], queries)
            return jax.tree.map(lambda array: array[None], along(draw(one), radii, share))

        def of_query(query: Any) -> tuple[jax.Array, Any]:
            one, radii, share = query
            return along(draw(one), radii, share)

        return _map_in_chunks(of_query, queries, chunk)

    losses, aux = share_queries(of_queries, (directions, radii, shares), axes)
    if jnp.ndim(radius) == 0:
        losses, aux = jax.tree.map(lambda array: array[:, 0], (losses, aux))
    return (losses, aux) if has_aux else losses


def _map_in_chunks(fn: Callable[[Any], Any], queries: Any, chunk: int) -> Any:
    """`fn` of each query, so many side by side, and the chunks one after another.

    `jax.lax.map` with a batch size, but for results without entries, which it cannot put together.
    """
    if chunk == 1:
        return jax.lax.map(fn, queries)
    count = jax.tree.leaves(queries)[0].shape[0]
    chunks = count // chunk
    whole = chunks * chunk
    in_chunks = jax.tree.map(lambda x: x[:whole].reshape(chunks, chunk, *x.shape[1:]), queries)
    outs = jax.lax.map(jax.vmap(fn), in_chunks)
    outs = jax.tree.map(lambda out: out.reshape(whole, *out.shape[2:]), outs)
    if whole == count:
        return outs
    rest = jax.vmap(fn)(jax.tree.map(lambda x: x[whole:], queries))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), outs, rest)


def _check_shares(shares: Any, num_queries: int) -> None:
    for path, array in jax.tree.leaves_with_path(shares):
        shape = jnp.shape(array)
        if shape[:1] != (num_queries,):
            raise ValueError(
                f"shares{jax.tree_util.keystr(path)} must lead with the {num_queries} directions, "
                f"got shape {shape}"
            )


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


class _Loss(NamedTuple):
    """A loss as a program.

    Attributes:
      program: from the leaves of params to those of what `value_fn` returns.
      outs: the tree of what it returns, shapes for leaves.
    """

    program: core.ClosedJaxpr
    outs: Any

    @classmethod
    def of(cls, value_fn: ValueFn, params: Params) -> "_Loss":
        """Traced as it would be for params themselves: with their dtypes and weak types."""
        return cls(*forward_program(value_fn, jax.tree.map(_shape_of, params)))

    def returned(self, leaves: list[jax.Array]) -> Any:
        """What `value_fn` returns, from the results of the program."""
        return jax.tree.unflatten(jax.tree.structure(self.outs), leaves)


def _shape_of(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=jax.typeof(leaf).weak_type)


def _at_perturbed_params(loss: _Loss, leaves: list[Perturbed]) -> Any:
    return loss.returned(run_in_pieces(loss.program, leaves))


def _at_dense_params(loss: _Loss, leaves: list[Perturbed]) -> Any:
    arrays = [leaf.dense() for leaf in leaves]
    return loss.returned(core.jaxpr_as_fun(loss.program)(*arrays))


def _in_turn_on_tpus(fn: Callable[[jax.Array], Any]) -> Callable[[jax.Array], Any]:
    """What `vmap` gives; on a TPU one point after another.

    In a product of one point its compiler forms W + r z as it reads W. For a product of several it
    first writes z in float32, or the perturbed weights of all points, and what a layer holds is
    held for all of them. Of OPT-1.3B, scanned, 8 x 512 tokens in bfloat16, a step took 1.015 to
    1.034 of the memory of inference instead of 0.92, and moved 1.97 (gaussian) and 1.36 (rank 1)
    instead of 1.45 and 1.19 times the bytes of two forwards (v5e, jax 0.10.2). To be retired when
    `experiments.benchmarks.accelerators` says no less of `vmap`.
    """
    return lambda points: jax.lax.platform_dependent(
        points, tpu=_one_by_one(fn), default=jax.vmap(fn)
    )


def _in_turn_but_on_cpus(fn: Callable[[jax.Array], Any]) -> Callable[[jax.Array], Any]:
    """What `vmap` gives; on accelerators one point after another, each with all shares.

    A point of all of them is as large as the batch. Both at once took 1.28 (v5e) and 1.12 (H100) of
    the memory of inference on the doubled batch with flipped signs, whose products have two results
    each, and take 0.89 and 0.82 (8 scanned layers of 1024, 16 x 256 tokens, bfloat16).
    """
    return lambda points: jax.lax.platform_dependent(
        points, cpu=jax.vmap(fn), default=_one_by_one(fn)
    )


def _one_by_one(fn: Callable[[jax.Array], Any]) -> Callable[[jax.Array], Any]:
    """What `vmap` gives, one point after another: for what has no batching rule."""
    return lambda points: jax.lax.map(fn, points)


def perturbed(
    params: Params, direction: Directions, radius: jax.Array, gathered: AxisName
) -> list[Perturbed]:
    """What a loss sees in the place of the leaves of params, a radius along a direction."""
    named = jax.tree.leaves_with_path(params)
    shapes = [leaf.shape for _, leaf in named]
    # Of what is stored in parts, a device has few entries, and blocks as a whole.
    budget = block_entries(sum(map(math.prod, shapes)) // part_count(gathered))
    recipes = draw_small_leaves(draw_exclusive_blocks_once(direction, shapes), shapes)
    return [
        Perturbed(
            base=jnp.asarray(leaf),
            recipe=recipe,
            radius=radius,
            dtypes=(jnp.dtype(leaf.dtype),),
            budget=budget,
            permutation=tuple(range(leaf.ndim)),
            gathered=gathered,
            path=jax.tree_util.keystr(path),
        )
        for (path, leaf), recipe in zip(named, recipes, strict=True)
    ]
