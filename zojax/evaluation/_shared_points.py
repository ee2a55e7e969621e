"""What the points along a direction compute together, until the perturbation sets them apart.

Points are lanes of `vmap`. As long as they come to a part of the loss outside the active block with
the same inputs, they leave it with the same results, which one run gives for all of them. Which
block is active is known as the program runs, so this is done on CPU alone: on other devices the
host would have to wait for the answer.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax._mesh import knows_others
from zojax.evaluation._perturbed import Perturbed
from zojax.recipes import Block


def run_together(
    layer: Callable[..., list[jax.Array]], same: jax.Array, *args: Any
) -> list[jax.Array]:
    """Returns `layer(*args)`, run as if it were plain where no arg is in the active block.

    So it has no conditional at each of its weights, and on CPU is run once for all points while
    they are the same.

    Args:
      layer: a function from arrays, and perturbed arrays, to arrays: the body of a scan, or a piece
        of the loss.
      same: whether all points have the same args but for perturbations, shape ().
      *args: its arguments. If some of them are perturbed without blocks, it is just run.
    """
    if not _can_be_shared(args):
        return layer(*args)
    numbers = {arg.recipe.number for arg in _lazy(args)}
    in_one_block = len(numbers) == 1 and None not in numbers
    leaves, treedef = jax.tree.flatten(args)

    def of_leaves(seen: Callable[[Perturbed], Any]) -> Callable[..., list[jax.Array]]:
        """The layer as a function of all arrays, given what it sees of a perturbed one."""

        def run(*leaves: jax.Array) -> list[jax.Array]:
            args = treedef.unflatten(leaves)
            return layer(*(seen(arg) if isinstance(arg, Perturbed) else arg for arg in args))

        return run

    as_it_is, plain = of_leaves(lambda leaf: leaf), of_leaves(_unperturbed)
    perturbed = of_leaves(_active) if in_one_block else as_it_is

    @jax.custom_batching.custom_vmap
    def of_point(same: jax.Array, *leaves: jax.Array) -> list[jax.Array]:
        del same
        return as_it_is(*leaves)

    @of_point.def_vmap
    def _of_points(axis_size: int, batched: list[bool], same: jax.Array, *leaves: jax.Array):
        each, once = _each(plain, batched[1:], axis_size), _once(plain, batched[1:], axis_size)
        # Arrays go in as they are: what is made of them outside would exist beside them.
        out = jax.lax.cond(
            _any_active(treedef.unflatten(leaves)),
            _each(perturbed, batched[1:], axis_size),
            lambda *leaves: jax.lax.platform_dependent(
                *leaves, cpu=functools.partial(jax.lax.cond, same, once, each), default=each
            ),
            *leaves,
        )
        return out, [True] * len(out)

    return of_point(same, *leaves)


def all_same(args: Collection[Any]) -> jax.Array:
    """Whether all points have the same args but for perturbations; False where nobody asks."""
    if not _can_be_shared(args):
        return jnp.bool(0)
    return alike(*(arg for arg in args if not isinstance(arg, Perturbed)))


def still_same(same: jax.Array, args: Collection[Any]) -> jax.Array:
    """Whether points that are the same, or not, are so after they have met these arguments."""
    if not _lazy(args):
        return same
    return same & ~_in_any_lane(_any_active(args)) if _in_blocks(args) else jnp.bool(0)


@jax.custom_batching.custom_vmap
def alike(*arrays: jax.Array) -> jax.Array:
    """Whether all points have the same arrays, bit by bit; under several `vmap`, in all lanes."""
    del arrays
    return jnp.bool(1)


@alike.def_vmap
def _alike_points(axis_size: int, batched: list[bool], *arrays: jax.Array):
    del axis_size
    own = [array for array, is_own in zip(arrays, batched, strict=True) if is_own]
    comparable = (jnp.floating, jnp.integer, jnp.bool)
    if not all(any(jnp.issubdtype(array.dtype, kind) for kind in comparable) for array in own):
        return jnp.bool(0), False
    return functools.reduce(operator.and_, map(_equal, own), jnp.bool(1)), False


@jax.custom_batching.custom_vmap
def _equal(points: jax.Array) -> jax.Array:
    """Whether all entries of axis 0 are the same; under `vmap`, in all lanes."""
    floating = jnp.issubdtype(points.dtype, jnp.floating)
    unsigned = f"uint{8 * points.dtype.itemsize}"
    words = jax.lax.bitcast_convert_type(points, unsigned) if floating else points
    # Reduced in two steps, as the first is vectorized along the last axis.
    others = jnp.bitwise_or.reduce(words[1:] ^ words[:-1], axis=tuple(range(words.ndim - 1)))
    return jnp.all(others == 0)


@_equal.def_vmap
def _equal_in_all_lanes(axis_size: int, batched: list[bool], points: jax.Array):
    # A predicate for each lane would turn the conditional into both of its branches.
    del axis_size, batched
    return _equal(jnp.swapaxes(points, 0, 1)), False


@jax.custom_batching.custom_vmap
def _in_any_lane(flag: jax.Array) -> jax.Array:
    return flag


@_in_any_lane.def_vmap
def _in_any_of_lanes(axis_size: int, batched: list[bool], flags: jax.Array):
    del axis_size, batched
    return _in_any_lane(jnp.any(flags)), False


def _each(fn: Callable, batched: Sequence[bool], points: int) -> Callable:
    """`fn` of each point; `batched` says which arguments the points have for themselves."""
    return jax.vmap(fn, [0 if own else None for own in batched], axis_size=points)


def _once(fn: Callable, batched: Sequence[bool], points: int) -> Callable:
    """`fn` of the first point, for all of them."""

    def once(*args: jax.Array) -> Any:
        first = (arg[0] if own else arg for arg, own in zip(args, batched, strict=True))
        return jax.tree.map(lambda out: jnp.broadcast_to(out, (points, *out.shape)), fn(*first))

    return once


def _lazy(args: Collection[Any]) -> list[Perturbed]:
    return [arg for arg in args if isinstance(arg, Perturbed)]


def _can_be_shared(args: Collection[Any]) -> bool:
    """Whether these arguments can be those of a layer outside the active block."""
    # Devices that differ in whether points are the same would send each other different things.
    return bool(_lazy(args)) and _in_blocks(args) and not knows_others()


def _in_blocks(args: Collection[Any]) -> bool:
    """Whether all that is perturbed is so in some blocks alone."""
    return all(isinstance(leaf.recipe, Block) for leaf in _lazy(args))


def _any_active(args: Collection[Any]) -> jax.Array:
    return jnp.any(jnp.stack([leaf.recipe.active for leaf in _lazy(args)]))


def _active(leaf: Perturbed) -> Perturbed:
    """What the loss sees of a leaf that is in the active block."""
    return dataclasses.replace(leaf, recipe=leaf.recipe.recipe)


def _unperturbed(leaf: Perturbed) -> jax.Array:
    """What it sees of a leaf that is not."""
    return jax.lax.transpose(leaf.cast(leaf.base), leaf.permutation)
