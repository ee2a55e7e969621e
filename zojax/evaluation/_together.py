"""What the points along a direction compute together, until the perturbation sets them apart."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from zojax._mesh import spans_devices


def computed_together(
    fn: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array, w: jax.Array
) -> jax.Array:
    """Returns `fn(x, w)`, on CPU computed once for all points while their x are equal.

    Points are lanes of `vmap`, and `w` is the same for all. On other devices the host would have to
    wait for the comparison, and on a mesh all devices: there each point computes its own.
    """

    @jax.custom_batching.custom_vmap
    def of_point(x: jax.Array, w: jax.Array) -> jax.Array:
        return fn(x, w)

    @of_point.def_vmap
    def _of_points(axis_size: int, batched: list[bool], x: jax.Array, w: jax.Array):
        def each(x: jax.Array, w: jax.Array) -> jax.Array:
            return jax.vmap(fn, [0 if own else None for own in batched])(x, w)

        def once(x: jax.Array, w: jax.Array) -> jax.Array:
            out = fn(x[0], w)
            return jnp.broadcast_to(out, (axis_size, *out.shape))

        comparable = batched == [True, False] and jnp.issubdtype(x.dtype, jnp.floating)
        if not comparable or spans_devices():
            return each(x, w), True
        return jax.lax.platform_dependent(
            x, w, cpu=lambda x, w: jax.lax.cond(equal(x), once, each, x, w), default=each
        ), True

    return of_point(x, w)


@jax.custom_batching.custom_vmap
def equal(points: jax.Array) -> jax.Array:
    """Whether all entries of axis 0 are the same, bit by bit; under `vmap`, in all lanes."""
    words = jax.lax.bitcast_convert_type(points, f"uint{8 * points.dtype.itemsize}")
    # Reduced in two steps, as the first is vectorized along the last axis.
    others = jnp.bitwise_or.reduce(words[1:] ^ words[:-1], axis=tuple(range(words.ndim - 1)))
    return jnp.all(others == 0)


@equal.def_vmap
def _equal_in_all_lanes(axis_size: int, batched: list[bool], points: jax.Array):
    # A predicate for each lane would turn the conditional into both of its branches.
    del axis_size, batched
    return equal(jnp.swapaxes(points, 0, 1)), False
