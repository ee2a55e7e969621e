"""What the points along a direction compute together, until the perturbation sets them apart.

Points are lanes of `vmap`. As long as they come to a weight outside the active block with equal
inputs, they leave it with equal results, which one product gives for all of them. Whether inputs
are equal is seen as the program runs, on CPU alone: on other devices the host would have to wait
for the comparison, and on a mesh all devices.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax._mesh import knows_others, spans_devices
from zojax.directions import Block
from zojax.evaluation._perturbed import Perturbed


def computed_together(
    fn: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array, w: jax.Array
) -> jax.Array:
    """Returns `fn(x, w)`, on CPU computed once for all points while their x are equal.

    All points have the same w.
    """

    @jax.custom_batching.custom_vmap
    def of_point(x: jax.Array, w: jax.Array) -> jax.Array:
        return fn(x, w)

    @of_point.def_vmap
    def _of_points(axis_size: int, batched: list[bool], x: jax.Array, w: jax.Array):
        each = _each(fn, batched, axis_size)
        if batched != [True, False] or spans_devices():
            return each(x, w), True
        once = _once(fn, batched, axis_size)
        return jax.lax.platform_dependent(
            x, w, cpu=lambda x, w: jax.lax.cond(_all_equal([x]), once, each, x, w), default=each
        ), True

    return of_point(x, w)


def run_together(layer: Callable[..., list[jax.Array]], *args: Any) -> list[jax.Array]:
    """Returns `layer(*args)`, on CPU as if it were plain where no arg is in the active block.

    So it is run once for all points while their args are equal, and is free of conditionals at
    each of its weights when they are not.

    Args:
      layer: a function from arrays, and perturbed arrays, to arrays: the body of a scan.
      *args: its arguments. If some of them are perturbed without blocks, it is just run.
    """
    lazy = [arg for arg in args if isinstance(arg, Perturbed)]
    # Devices that differ in whether their points are equal would send each other different things.
    if not lazy or knows_others() or not all(isinstance(arg.recipe, Block) for arg in lazy):
        return layer(*args)
    leaves, treedef = jax.tree.flatten(args)

    def of_leaves(*leaves: jax.Array) -> list[jax.Array]:
        return layer(*treedef.unflatten(leaves))

    of_point = jax.custom_batching.custom_vmap(of_leaves)

    @of_point.def_vmap
    def _of_points(axis_size: int, batched: list[bool], *leaves: jax.Array):
        own = [
            flag.base if isinstance(flag, Perturbed) else flag
            for flag in treedef.unflatten(batched)
        ]

        def on_cpu(*leaves: jax.Array) -> list[jax.Array]:
            args = treedef.unflatten(leaves)
            active = [arg.recipe.active for arg in args if isinstance(arg, Perturbed)]
            plain = [_unperturbed(arg) for arg in args]
            same = _all_equal([arg for arg, is_own in zip(plain, own, strict=True) if is_own])
            return jax.lax.cond(
                jnp.any(jnp.stack(active)),
                lambda: _each(of_leaves, batched, axis_size)(*leaves),
                lambda: jax.lax.cond(
                    same, _once(layer, own, axis_size), _each(layer, own, axis_size), *plain
                ),
            )

        each = _each(of_leaves, batched, axis_size)
        out = jax.lax.platform_dependent(*leaves, cpu=on_cpu, default=each)
        return out, [True] * len(out)

    return of_point(*leaves)


def _each(fn: Callable, batched: Sequence[bool], points: int) -> Callable:
    """`fn` of each point; `batched` says which arguments the points have for themselves."""
    return jax.vmap(fn, [0 if own else None for own in batched], axis_size=points)


def _once(fn: Callable, batched: Sequence[bool], points: int) -> Callable:
    """`fn` of the first point, for all of them."""

    def once(*args: jax.Array) -> Any:
        first = (arg[0] if own else arg for arg, own in zip(args, batched, strict=True))
        return jax.tree.map(lambda out: jnp.broadcast_to(out, (points, *out.shape)), fn(*first))

    return once


def _unperturbed(arg: Any) -> jax.Array:
    """What the loss sees in the place of a leaf that is in no active block."""
    if not isinstance(arg, Perturbed):
        return arg
    return jax.lax.transpose(arg.cast(arg.base), arg.permutation)


def _all_equal(arrays: Sequence[jax.Array]) -> jax.Array | bool:
    """Whether in each of the arrays all entries of axis 0 are the same; False for other dtypes."""
    comparable = (jnp.floating, jnp.integer, jnp.bool)
    if not all(any(jnp.issubdtype(a.dtype, kind) for kind in comparable) for a in arrays):
        return False
    return functools.reduce(operator.and_, map(equal, arrays), jnp.bool(1))


@jax.custom_batching.custom_vmap
def equal(points: jax.Array) -> jax.Array:
    """Whether all entries of axis 0 are the same, bit by bit; under `vmap`, in all lanes."""
    floating = jnp.issubdtype(points.dtype, jnp.floating)
    unsigned = f"uint{8 * points.dtype.itemsize}"
    words = jax.lax.bitcast_convert_type(points, unsigned) if floating else points
    # Reduced in two steps, as the first is vectorized along the last axis.
    others = jnp.bitwise_or.reduce(words[1:] ^ words[:-1], axis=tuple(range(words.ndim - 1)))
    return jnp.all(others == 0)


@equal.def_vmap
def _equal_in_all_lanes(axis_size: int, batched: list[bool], points: jax.Array):
    # A predicate for each lane would turn the conditional into both of its branches.
    del axis_size, batched
    return equal(jnp.swapaxes(points, 0, 1)), False
