"""In which order the blocks of params are active."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from zojax import _checks
from zojax._typing import Key
from zojax.noise import _keys


def check(order: str | Sequence[int]) -> None:
    """Raises ValueError unless `order` is known, or a sequence of block numbers."""
    if isinstance(order, str):
        _checks.one_of(tuple(ORDERS), order=order)
    elif not (isinstance(order, Sequence) and order and all(map(_is_number, order))):
        raise ValueError(
            f"order must be one of {', '.join(ORDERS)}, or block numbers from 0 on, got {order!r}"
        )


def _is_number(block: Any) -> bool:
    return isinstance(block, int) and not isinstance(block, bool) and block >= 0


def active_block(order: str | Sequence[int], key: Key, turn: jax.Array, count: int) -> jax.Array:
    """The number of the block whose turn it is, shape (), int32.

    A function of the run's key and the turn alone, so a run that is resumed goes on as it would
    have.
    """
    if not isinstance(order, str):
        if max(order) >= count:
            raise ValueError(
                f"order names block {max(order)}, but params have {count} blocks, 0...{count - 1}"
            )
        return jnp.array(order, jnp.int32)[turn % len(order)]
    return ORDERS[order](key, turn, count).astype(jnp.int32)


def _random(key: Key, turn: jax.Array, count: int) -> jax.Array:
    return jax.random.randint(_keys.order_key(key, turn), (), 0, count)


def _permutation(key: Key, turn: jax.Array, count: int) -> jax.Array:
    """Every block once in each cycle, shuffled anew."""
    return jax.random.permutation(_keys.order_key(key, turn // count), count)[turn % count]


def _flip_flop(key: Key, turn: jax.Array, count: int) -> jax.Array:
    """0 ... n-1, n-1 ... 0: each block once in either half, those at the ends twice in a row."""
    del key
    place = turn % (2 * count)
    return jnp.minimum(place, 2 * count - 1 - place)


ORDERS: dict[str, Callable[[Key, jax.Array, int], jax.Array]] = {
    "cyclic": lambda key, turn, count: turn % count,
    "descending": lambda key, turn, count: count - 1 - turn % count,
    "random": _random,
    "permutation": _permutation,
    "flip_flop": _flip_flop,
}
