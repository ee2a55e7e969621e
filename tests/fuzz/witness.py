"""A loss that sees the params it is evaluated at, and pays for chosen ones.

Params are zero, so at a point radius z it sees z itself: the radius is a power of two, and neither
that factor nor the sum with zero is rounded. It looks at each leaf in several ways (as it is, in
products with the identity, row by row...), all of which give its entries unchanged, and which the
library evaluates in different ways.

A point that is paid for has a coefficient that is a power of two in the estimate, all others have
zero. So what is applied is that point's z, times powers of two: again nothing is rounded, in
whatever order a program sums and multiplies. What was measured can be compared with what is applied
bit by bit.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Point = list[np.ndarray]


class Witness:
    """Records where it is evaluated.

    Attributes:
      seen: the points so far, by their bits.
      differing: what was not the same in all ways of looking.
    """

    def __init__(self, ways: int = 0):
        self.seen: dict[bytes, Point] = {}
        self.differing: list[str] = []
        self._paid: dict[bytes, float] = {}
        self._ways = ways

    def pay(self, *payments: tuple[Point, float]) -> None:
        """Sets the losses at these points; everywhere else the loss is 0 from now on."""
        self._paid = {_bits(point): amount for point, amount in payments}

    def loss(self, params: Any) -> jax.Array:
        """The loss."""
        views = [
            [way(leaf) for way in _ways(leaf, self._ways + place)]
            for place, leaf in enumerate(jax.tree.leaves(params))
        ]
        out = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.pure_callback(self._look, out, views, vmap_method="sequential")

    def _look(self, views: list[list[Any]]) -> np.ndarray:
        # Adding 0.0 makes one zero of the two.
        seen = [[np.asarray(view) + np.asarray(0, view.dtype) for view in leaf] for leaf in views]
        for place, leaf in enumerate(seen):
            for way, view in enumerate(leaf):
                if view.tobytes() != leaf[0].tobytes():
                    self.differing.append(f"leaf {place} in way {way}: {view}, itself {leaf[0]}")
        point = [leaf[0] for leaf in seen]
        self.seen[_bits(point)] = point
        return np.float32(self._paid.get(_bits(point), 0.0))


def _bits(point: Point) -> bytes:
    return b"".join(array.tobytes() for array in point)


def opposite(point: Point) -> Point:
    """-z for z, with the zeros that a witness knows."""
    return [-array + np.asarray(0, array.dtype) for array in point]


def is_origin(point: Point) -> bool:
    """Whether these are the params themselves."""
    return not any(np.any(array) for array in point)


def _ways(leaf: jax.Array, number: int) -> list[Callable[[jax.Array], jax.Array]]:
    """Three of the ways to look at a leaf; itself comes first."""
    if not leaf.ndim or not leaf.size:
        return [lambda w: w]
    return [lambda w: w, _PRODUCTS[number % len(_PRODUCTS)], _OTHERS[number % len(_OTHERS)]]


def _identity(w: jax.Array, axis: int) -> jax.Array:
    return jnp.eye(w.shape[axis], dtype=w.dtype)


_PRODUCTS = (
    lambda w: jnp.tensordot(_identity(w, 0), w, 1),
    lambda w: jnp.tensordot(w, _identity(w, -1), 1),
    lambda w: jnp.tensordot(_identity(w, -1), w.T, 1).T,
)
_OTHERS = (
    lambda w: w[jnp.arange(w.shape[0])],
    lambda w: jax.lax.map(lambda row: row + 0, w),
    lambda w: jnp.concatenate([w[:1], w[1:]]),
    lambda w: jax.lax.map(lambda i: w[i], jnp.arange(w.shape[0])),
    lambda w: jax.vmap(lambda row: row + 0)(w),
    lambda w: jax.lax.scan(lambda _, row: (None, row + 0), None, w, reverse=True)[1],
    lambda w: jnp.stack([w[i] for i in range(w.shape[0])]),
)
