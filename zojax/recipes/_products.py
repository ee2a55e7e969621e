"""Products of factors that become updates: with a buffer of the leaf's size only where it pays."""

import jax

from zojax import _thresholds
from zojax.recipes._low_rank import LowRank


def fuses_on_cpu(rank: int, leaf: jax.Array) -> bool:
    """Whether a CPU multiplies factors of this rank out for each entry as it is written.

    A product of wide factors has a buffer for its result, that of the largest leaf of a stack a
    third of the weights. A sum of multiplications has none: it fuses with what is done to the
    update. Compilers of accelerators fuse the product itself.
    """
    is_between = _thresholds.FUSED_RANK < rank <= _thresholds.WRITTEN_OUT_RANK
    return is_between and leaf.size >= _thresholds.LARGE_LEAF


def draw_update(factors: LowRank, leaf: jax.Array) -> jax.Array:
    """Returns z of a leaf, float32, for a program that reads it once."""
    rank = factors.left.shape[-1]
    if not (fuses_on_cpu(rank, leaf) and isinstance(factors.left, jax.core.Tracer)):
        return factors.draw(leaf.shape)
    return jax.lax.platform_dependent(
        factors,
        cpu=LowRank.written_out,
        default=lambda factors: factors.draw(leaf.shape),
    )
