"""Laws of the entries of a dense direction. All have mean 0 and covariance I.

A call of the cipher gives 64 bits. They are shared out among adjacent rows: with b bits an entry,
those of column j of the group of rows g 64/b ... (g + 1) 64/b - 1 come from the counter (g, j), the
lowest bits of the first word for the first row. So any rows of a leaf, and any columns, can be
drawn by themselves with the same values.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from zojax._typing import Key
from zojax.noise._generator import call_words
from zojax.noise._normal import normal
from zojax.noise._quantized_normal import normal_8, normal_16


class Law(NamedTuple):
    """What an entry is made of, and how.

    Attributes:
      bits: random bits of an entry: 1, 8, 16 or 32.
      of_bits: (uint32, whose lowest `bits` bits count) -> entries, float32.
      call: the cipher, as `call_words`.
    """

    bits: int
    of_bits: Callable[[jax.Array], jax.Array]
    call: Callable[..., tuple[jax.Array, jax.Array]] = call_words

    @property
    def rows(self) -> int:
        """Rows of a group."""
        return 64 // self.bits

    @property
    def unit(self) -> int:
        """Rows that are taken out of the bits at a time, in the last step of it.

        8 of them are what a TPU's tile of 32-bit numbers holds, so that there the last step is part
        of what reads the entries.
        """
        return min(self.rows, 8)

    def units(self, words: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        """What units are made of: words, (..., groups, width) -> (..., units, width).

        Of signs a byte for eight rows: words for them would be four times as large, and a TPU's
        compiler keeps them.
        """
        return words if self.unit == self.rows else (_spread(words, 8, 8).astype(jnp.uint8),)

    def entries(self, units: tuple[jax.Array, ...]) -> jax.Array:
        """The rows of units: (..., units, width) -> (..., `unit` times as many, width), float32."""
        return self.of_bits(_spread(units, self.unit, self.bits).astype(jnp.uint32))

    def draw_rows(
        self, keys: Key, rows: jax.Array, width: int, first: jax.Array | int | None = None
    ) -> jax.Array:
        """Rows one by one, with a call for each entry: (*rows, width), float32.

        Args:
          keys: one for all rows, or one for each.
          rows: their numbers, of any shape.
          width: entries of a row.
          first: see `call_words`.
        """
        rows = rows.astype(jnp.uint32)
        low, high = self.call(keys, rows // self.rows, width, first)
        row, of_word = (rows % self.rows)[..., None], self.rows // 2
        word = jnp.where(row < of_word, low, high)
        return self.of_bits(word >> (row % of_word * self.bits))


def gaussian_law(bits: int) -> Law:
    """The normal law with so many random bits an entry: 8, 16 or 32."""
    return Law(bits, {8: normal_8, 16: normal_16, 32: normal}[bits])


def _sign(bits: jax.Array) -> jax.Array:
    # The bit becomes the sign bit of 1.0: cheaper than converting it to a float.
    ones = jax.lax.bitcast_convert_type(jnp.float32(1), jnp.uint32)
    return jax.lax.bitcast_convert_type((bits << 31) | ones, jnp.float32)


RADEMACHER = Law(1, _sign)


def _lower_half(bits: jax.Array) -> jax.Array:
    return (jax.lax.bitcast_convert_type(bits, jnp.int32) & 0xFFFF).astype(jnp.float32)


UNIFORM_16 = Law(16, _lower_half)
"""The integers 0...65535, equally likely: no law of directions, but what roundings are drawn by."""


def _spread(words: tuple[jax.Array, ...], rows: int, bits: int) -> jax.Array:
    """`rows` rows of each word, or pair: (..., n, width) -> (..., rows n, width), of one dtype.

    So many bits of a word go to each row, lowest first; they are the lowest of its numbers, which
    have others above them.
    """
    of_word = rows // len(words)
    row = jnp.arange(rows, dtype=words[0].dtype)[:, None]
    first, *rest = (word[..., None, :] for word in words)
    word = jnp.where(row < of_word, first, rest[0]) if rest else first
    *outer, count, width = words[0].shape
    return (word >> (row % of_word * bits)).reshape(*outer, rows * count, width)
