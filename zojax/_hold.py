"""Noise that is drawn when it is needed, once, into a buffer of its own.

Left alone, XLA does two things to the draws of a perturbed evaluation. It schedules those that
depend on no data (the layers of an unrolled model) before everything else, so that the noise of all
layers exists at once. And it fuses a draw into each of its readers, so that a pair of points pays
for the generator twice, and 32 signs packed in a word pay for the word 32 times. `hold` stops both:

- on CPU, by a conditional whose predicate is read from the data: its branch cannot run before the
  data is there, and its result is a buffer. (`optimization_barrier` is dropped before scheduling.)
- elsewhere, by a key that waits for the same predicate and a barrier behind the draw; a conditional
  on a device value would stop the host.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from zojax._mesh import own_entry
from zojax._typing import Key


def hold(draw: Callable[[Key], jax.Array], key: Key, datum: jax.Array) -> jax.Array:
    """Returns `draw(key)`, drawn after `datum` is known and kept as one buffer.

    Under `vmap` over data that share a key (the points of a pair), the draw is shared too.
    """
    ready = known(datum)

    def by_barrier(key: Key) -> jax.Array:
        words = jax.random.key_data(key)
        words = jnp.where(ready, words, ~words)
        waiting = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
        return jax.lax.optimization_barrier(draw(waiting))

    return jax.lax.platform_dependent(
        key, cpu=lambda key: _conditionally(ready, draw, key), default=by_barrier
    )


def keep(make: Callable[[Any], jax.Array], operand: Any, datum: jax.Array) -> jax.Array:
    """Returns `make(operand)` as one buffer, made after `datum` is known.

    For what is small, and would be made again by everything that reads it.
    """
    return jax.lax.platform_dependent(
        operand,
        cpu=lambda operand: _conditionally(known(datum), make, operand),
        default=lambda operand: jax.lax.optimization_barrier(make(operand)),
    )


def waiting_zero(dtype: Any, datum: jax.Array) -> jax.Array:
    """0, in a form that the compiler has to wait for.

    Loops that add up begin with zeros. XLA makes all that it knows to be zeros, and buffers for
    them, before everything else; the results of all leaves would exist at once. Chosen by a `where`
    instead of kept, they let the sums of a window of steps hold one leaf more.
    """
    return keep(jnp.zeros_like, jnp.ones((), dtype), datum)


def _conditionally(ready: jax.Array, make: Callable[[Any], jax.Array], operand: Any) -> jax.Array:
    shape = jax.eval_shape(make, operand)
    return jax.lax.cond(ready, make, lambda _: jnp.zeros(shape.shape, shape.dtype), operand)


@jax.custom_batching.custom_vmap
def known(datum: jax.Array) -> jax.Array:
    """True, in a form that the compiler has to wait for: a bit of the first element is below 2."""
    first = own_entry(datum)
    unsigned = jnp.dtype(f"uint{8 * first.dtype.itemsize}")
    if jnp.issubdtype(first.dtype, jnp.floating):
        bits = jax.lax.bitcast_convert_type(first, unsigned)
    else:
        bits = first.astype(unsigned)
    return (bits & 1) < 2


@known.def_vmap
def _ready_of_first_lane(axis_size: int, batched: list[bool], datum: jax.Array):
    del axis_size, batched
    return known(datum[0]), False
