"""Tricks that steer XLA's schedule: when something is computed, and into which buffer.

All of them stand here, each with its reason and the measurement that would retire it. They change
no value (`as_buffer` says when one is rounded). Left alone, XLA does two things to the draws of a
perturbed evaluation. It schedules those that depend on no data (the layers of an unrolled model)
before everything else, so that the noise of all layers exists at once. And it fuses a draw into
each of its readers, so that a pair of points pays for the generator twice, and 32 signs packed in a
word pay for the word 32 times.

    draw_after    a draw that waits for data and is kept
    make_after    the same for anything small that is read more than once
    as_buffer     a number that is rounded before it is read
    zero_after    zeros that wait, for loops that add up
    true_after    the predicate that all of these wait for
    hidden_slicer places in a common buffer that the compiler does not see
    used_after    a leaf that is not copied before data
    in_place      state that is made anew now and then
    cut_out       a part of a leaf that is a part when devices send it

`python -m experiments.benchmarks.memory` and `.speed` retire those that wait: when peak / inference
of the unrolled forms and step / two forwards stay as they are with a plain call in their place.
`.compile` retires `hidden_slicer`, when the list of 24 layers compiles as fast with plain slices,
and `.slices` the last two, when its peaks stay. (Of OPT-13B with gaussian directions they took the
tensor layout from 1.06 to 1.04, while points were side by side, and fsdp from 1.10 to 1.04.)
`tests/contract/test_replayed_steps.py` retires `as_buffer`, when steps come back without it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from zojax._mesh import may_be_cut, own_entry
from zojax._typing import Key


def draw_after(draw: Callable[[Key], Any], key: Key, datum: jax.Array) -> Any:
    """Returns `draw(key)`, arrays that are drawn after `datum` is known and kept as buffers.

    On CPU by a conditional whose predicate is read from the data: its branch cannot run before the
    data is there, and its result is a buffer. (`optimization_barrier` is dropped before
    scheduling.) Elsewhere by a key that waits for the same predicate and a barrier behind the draw;
    a conditional on a device value would stop the host.

    Under `vmap` over data that share a key (the points of a pair), the draw is shared too.
    """
    ready = true_after(datum)
    if not isinstance(ready, jax.core.Tracer):  # outside jit, all is made in the order of Python
        return draw(key)

    def by_barrier(key: Key) -> Any:
        words = jax.random.key_data(key)
        words = jnp.where(ready, words, ~words)
        waiting = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
        return jax.lax.optimization_barrier(draw(waiting))

    return jax.lax.platform_dependent(
        key, cpu=lambda key: _conditionally(ready, draw, key), default=by_barrier
    )


def make_after(make: Callable[[Any], Any], operand: Any, datum: jax.Array) -> Any:
    """Returns `make(operand)`, arrays that are buffers, made after `datum` is known.

    For what is small, and would be made again by everything that reads it.
    """
    ready = true_after(datum)
    if not isinstance(ready, jax.core.Tracer):  # as above
        return make(operand)
    return jax.lax.platform_dependent(
        operand,
        cpu=lambda operand: _conditionally(ready, make, operand),
        default=lambda operand: jax.lax.optimization_barrier(make(operand)),
    )


def as_buffer(array: jax.Array) -> jax.Array:
    """The array, small, in a form that is rounded to its dtype before anything is made of it.

    Left alone, XLA fuses the end of a loss into what reads it, and a CPU rounds a mean and the
    difference that is made of it once instead of twice (as one multiply-add). Coefficients then do
    not follow from the losses as anybody sees them, and a step cannot be made again from these:
    that of the shipped OPT had 16.4199 for 16.419886.
    """
    return make_after(lambda array: array, array, array)


def zero_after(dtype: Any, datum: jax.Array) -> jax.Array:
    """0, in a form that the compiler has to wait for.

    Loops that add up begin with zeros. XLA makes all that it knows to be zeros, and buffers for
    them, before everything else; the results of all leaves would exist at once. Chosen by a `where`
    instead of a buffer, they let the sums of a window of steps hold one leaf more.
    """
    return make_after(jnp.zeros_like, jnp.ones((), dtype), datum)


def in_place(when: jax.Array, make: Callable[[], Any], kept: Any) -> Any:
    """`make()` if `when`, else `kept`, in the buffers of `kept`.

    What a conditional returns has buffers of its own, so that state which is made anew now and then
    exists twice in every step. A loop of one round, or none, writes over what it begins with: P-GAP
    had a peak of 2.89 times inference on a CPU, and has 1.78. To be retired when
    `tests/evaluation/test_update_memory.py` passes with `lax.cond` in its place.

    Args:
      when: shape (), bool.
      make: returns a tree like `kept`, of which it reads nothing.
      kept: arrays that nothing else reads later.
    """

    def again(carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        del carry
        return jnp.zeros_like(when), make()

    return jax.lax.while_loop(lambda carry: carry[0], again, (when, kept))[1]


def used_after(array: jax.Array, datum: jax.Array) -> jax.Array:
    """The array, in a form that is not used before `datum` is known, except on a CPU.

    For a large leaf that a loop reads in another order than it lies in: a TPU's compiler makes a
    copy in that order before the loop, and left alone before everything else.
    """
    return jax.lax.optimization_barrier((array, datum))[0]


def cut_out(array: jax.Array) -> jax.Array:
    """A part of a leaf, in a form that is cut out before it is gathered from all devices.

    Left alone, XLA gathers the leaf and then cuts.
    """
    return jax.lax.optimization_barrier(array)


@jax.jit  # traced once for all data of a shape
def true_after(datum: jax.Array) -> jax.Array:
    """True, in a form that the compiler has to wait for: a bit of the first element is below 2.

    For an array without entries there is nothing to wait for.
    """
    return _true_after(datum) if jnp.size(datum) else jnp.bool(1)


def hidden_slicer(arrays: Any) -> Callable[[int, int], Any]:
    """Returns `(start, length) -> arrays[start : start + length]`, the place hidden from XLA.

    XLA compiles loops that are alike once for a whole program: those of the layers of a model,
    unless each has the place of its part of a common buffer written into it. So the places are read
    from tables, which XLA hands to a loop beside its data.

    Args:
      arrays: a tree of arrays that are cut at the same place of axis 0.
    """
    # Always 1, but the compiler cannot say so.
    middle = true_after(jax.tree.leaves(arrays)[0]).astype(jnp.int32)

    def cut(start: int, length: int) -> Any:
        # A shorter table, or one in order, would be computed in place, the start written into it.
        table = jnp.array([start + 1, start, start + 1], jnp.int32)
        (first,) = _places(table, middle, 1)
        return jax.tree.map(lambda array: _places(array, first, length), arrays)

    return cut


def _places(array: jax.Array, first: jax.Array, length: int) -> jax.Array:
    """`length` entries of axis 0 from one on that is not negative."""
    return jax.lax.dynamic_slice_in_dim(array, first, length, allow_negative_indices=False)


def _conditionally(ready: jax.Array, make: Callable[[Any], Any], operand: Any) -> Any:
    shapes = jax.eval_shape(make, operand)

    def zeros(_: Any) -> Any:
        return jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), shapes)

    return jax.lax.cond(ready, make, zeros, operand)


@jax.custom_batching.custom_vmap
def _true_after(datum: jax.Array) -> jax.Array:
    if may_be_cut(datum):
        return jax.lax.platform_dependent(datum, cpu=_true_of_bits, default=_true_behind_barrier)
    return _true_of_bits(datum)


def _true_behind_barrier(datum: jax.Array) -> jax.Array:
    # The compilers of TPUs drop a barrier before scheduling too, but on a mesh there is no better.
    return jax.lax.optimization_barrier((jnp.bool(1), datum))[0]


def _true_of_bits(datum: jax.Array) -> jax.Array:
    first = own_entry(datum)
    unsigned = jnp.dtype(f"uint{8 * first.dtype.itemsize}")
    if jnp.issubdtype(first.dtype, jnp.floating):
        bits = jax.lax.bitcast_convert_type(first, unsigned)
    else:
        bits = first.astype(unsigned)
    return (bits & 1) < 2


@_true_after.def_vmap
def _true_after_the_first_lane(axis_size: int, batched: list[bool], datum: jax.Array):
    del axis_size, batched
    return _true_after(datum[0]), False
