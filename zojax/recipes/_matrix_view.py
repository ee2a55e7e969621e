"""How a leaf is read as a matrix, or a batch of matrices."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class MatrixView(NamedTuple):
    """Which axes of a leaf count rows, which columns, and over which it is a batch of matrices.

    A kernel (in, out) has rows=(0,), columns=(1,). A stack of them (layers, in, out) adds
    batch=(0,) and shifts the others. Flax's attention kernels (features, heads, head_dim) are one
    matrix with rows=(0,), columns=(1, 2); the output's (heads, head_dim, features) has rows=(0, 1),
    columns=(2,).
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    batch: tuple[int, ...] = ()

    def sizes(self, shape: Sequence[int]) -> tuple[int, int]:
        """Numbers of rows and of columns, (m, n), of one matrix."""
        m, n = (math.prod(shape[axis] for axis in axes) for axes in (self.rows, self.columns))
        return m, n
