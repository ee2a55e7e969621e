"""An axis in combs, for where it lies on several devices.

A block of an axis may lie on one device, and would be sent to the others. A comb has teeth on all
of them, however the axis is cut.
"""

from typing import NamedTuple

import jax

from zojax._axis_blocks import AxisBlocks
from zojax._mesh import device_count, spans_devices
from zojax.recipes import split


class Combs(NamedTuple):
    """Combs that cover an axis.

    Attributes:
      count: combs.
      teeth: of each comb, with all other combs between one and the next.
      tooth: entries of a tooth.
    """

    count: int
    teeth: int
    tooth: int

    def cut(self, array: jax.Array, axis: int, comb: jax.Array) -> jax.Array:
        """One comb of an array; the axis becomes two, teeth and entries of a tooth."""
        of_teeth = split(split(array, axis, self.tooth), axis, self.count)
        return jax.lax.dynamic_index_in_dim(of_teeth, comb, axis + 1, keepdims=False)


def combs(blocks: AxisBlocks, grain: int) -> Combs | None:
    """Combs about as long as these blocks, on a mesh; None elsewhere, and if no number divides it.

    Args:
      blocks: of the axis.
      grain: entries that a tooth should have. With fewer teeth than devices a tooth is an entry.
    """
    if not spans_devices():
        return None
    for tooth in dict.fromkeys((grain, 1)):
        for count in range(blocks.count, 2 * blocks.count + 1):
            teeth, rest = divmod(blocks.size, count * tooth)
            if not rest and (tooth == 1 or teeth % device_count() == 0):
                return Combs(count, teeth, tooth)
    return None
