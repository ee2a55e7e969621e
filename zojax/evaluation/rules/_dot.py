"""A product of an array and a weight as a loss asks for it."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from zojax.recipes import LETTERS


class Product(Protocol):
    """What a loss makes of an array and a weight: a contraction, or a convolution."""

    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """Returns x · w."""
        ...

    def summed_widely(self, x: jax.Array) -> "Product":
        """With a result in float32 or wider, for sums of several parts."""
        ...

    def place_of(self, axis: int, x: jax.Array, ndim: int) -> int:
        """Which axis of the result is this one of w alone, which has `ndim` axes."""
        ...

    def met_by(self, axis: int) -> int:
        """Which axis of x is summed over together with this one of w."""
        ...


class Dot(NamedTuple):
    """x · w: which axes of an array and of a weight meet, and how exactly.

    The result has the batch axes, then those that x keeps, then those that w keeps.

    Attributes:
      contract_x: axes of x that are summed over.
      contract_w: those of w, in the same order.
      batch_x: axes of x that go along with others of w.
      batch_w: those of w, in the same order.
      how: the other parameters of `jax.lax.dot_general_p`: precision, dtype, sharding.
    """

    contract_x: tuple[int, ...]
    contract_w: tuple[int, ...]
    batch_x: tuple[int, ...]
    batch_w: tuple[int, ...]
    how: dict[str, Any]

    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """Returns x · w."""
        numbers = ((self.contract_x, self.contract_w), (self.batch_x, self.batch_w))
        return jax.lax.dot_general_p.bind(x, w, dimension_numbers=numbers, **self.how)

    def kept_of_x(self, x: jax.Array) -> list[int]:
        """The axes of x alone that the result has."""
        return [axis for axis in range(x.ndim) if axis not in (*self.contract_x, *self.batch_x)]

    def kept_of_w(self, ndim: int) -> list[int]:
        """The axes of w alone, which has this many axes, that the result has."""
        return [axis for axis in range(ndim) if axis not in (*self.contract_w, *self.batch_w)]

    def letters(self, x: jax.Array, ndim: int) -> tuple[str, str, str]:
        """The einsum subscripts of x, of a w with `ndim` axes, and of the result."""
        of_w, of_x = list(LETTERS[:ndim]), list(LETTERS[ndim : ndim + x.ndim])
        for axis_x, axis_w in (
            *zip(self.contract_x, self.contract_w, strict=True),
            *zip(self.batch_x, self.batch_w, strict=True),
        ):
            of_x[axis_x] = of_w[axis_w]
        shared = [of_x[axis] for axis in self.batch_x]
        kept_x = [of_x[axis] for axis in self.kept_of_x(x)]
        kept_w = [of_w[axis] for axis in self.kept_of_w(ndim)]
        return "".join(of_x), "".join(of_w), "".join((*shared, *kept_x, *kept_w))

    def place_of(self, axis: int, x: jax.Array, ndim: int) -> int:
        """Which axis of the result is this one of w alone, which has `ndim` axes."""
        before = len(self.batch_x) + len(self.kept_of_x(x))
        return before + self.kept_of_w(ndim).index(axis)

    def met_by(self, axis: int) -> int:
        """Which axis of x is summed over together with this one of w."""
        return self.contract_x[tuple(self.contract_w).index(axis)]

    def changed(self, **how: Any) -> "Dot":
        """With some of the other parameters changed."""
        return self._replace(how={**self.how, **how})

    def summed_widely(self, x: jax.Array) -> "Dot":
        """With a result in float32 or wider, for sums of several parts."""
        return self.changed(preferred_element_type=jnp.promote_types(x.dtype, jnp.float32))
