"""An axis in blocks of one length."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp


class AxisBlocks(NamedTuple):
    """Blocks of equal length that cover an axis.

    The last one starts early enough to be whole, so it may overlap the one before it: what is
    written there twice is written alike, and what is added up counts only where it is `fresh`.

    Attributes:
      size: entries of the axis, at least 1.
      length: entries of a block, at least 1.
    """

    size: int
    length: int

    @classmethod
    def of_count(cls, size: int, count: int) -> "AxisBlocks":
        """At most `count` blocks."""
        return cls(size, -(-size // min(count, size)))

    def in_multiples_of(self, entries: int) -> "AxisBlocks":
        """Longer blocks, each of a multiple of so many entries."""
        return self._replace(length=min(-(-self.length // entries) * entries, self.size))

    def rounded_to(self, entries: int) -> "AxisBlocks":
        """Shorter blocks, each of a multiple of so many entries; as they are if none is."""
        return self._replace(length=self.length // entries * entries or self.length)

    def whole(self) -> "AxisBlocks":
        """One block."""
        return self._replace(length=self.size)

    @property
    def count(self) -> int:
        return -(-self.size // self.length)

    @property
    def divisor(self) -> int:
        """A divisor of the first entries of all blocks; 0 if there is but one."""
        return math.gcd(self.length, self.size) if self.count > 1 else 0

    def first(self, block: jax.Array | int) -> jax.Array:
        """The first entry of a block."""
        return jnp.minimum(block * self.length, self.size - self.length)

    def whole_and_rest(self, entries: int) -> tuple[int, int]:
        """How many blocks there are, and what remains behind them.

        Nothing does where the last block may overlap the one before it: if all of them begin at
        multiples of so many entries, or none but by chance.
        """
        if self.divisor % entries == 0 or self.length % entries:
            return self.count, 0
        return divmod(self.size, self.length)

    def fresh(self, block: jax.Array | int) -> jax.Array:
        """Which entries of a block are not in the one before, (length,), bool."""
        return self.first(block) + jnp.arange(self.length) >= block * self.length
