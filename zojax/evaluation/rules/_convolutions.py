"""Rule for convolutions with a perturbed kernel.

    dense      conv(x, W + r z):  where the kernel is large, in blocks of the input's features, or
               else of the output's
    low rank   conv(x, W) + r conv(x, L) · Rᵀ:  where the output's features are one side of the
               kernel, and all its other axes the other one

A convolution in groups has its kernel drawn.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from zojax._mesh import has_explicit_axes
from zojax.evaluation._cost import cut_of_input_features, cut_of_kept
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation._program import bind
from zojax.evaluation._sequence import is_result
from zojax.evaluation.rules._active_blocks import contract_if_active
from zojax.evaluation.rules._blocked_contractions import by_kept_axis, by_summed_axis
from zojax.recipes import Block, LowRank
from zojax.recipes._low_rank import LETTERS, sum_over_rank


class Convolution(NamedTuple):
    """A convolution of images with a kernel as a loss asks for it.

    Attributes:
      eqn: what it asks for.
      dtype: of the result, if another one.
    """

    eqn: core.JaxprEqn
    dtype: Any = None

    def __call__(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Returns conv(x, kernel)."""
        changed = {} if self.dtype is None else {"preferred_element_type": self.dtype}
        return bind(self.eqn, [x, kernel], **changed)[0]

    def summed_widely(self, x: jax.Array) -> "Convolution":
        """With a result in float32 or wider, for sums of several parts."""
        return self._replace(dtype=jnp.promote_types(x.dtype, jnp.float32))

    @property
    def kept(self) -> int:
        """The axis of the kernel that counts the output's features."""
        return self._numbers.rhs_spec[0]

    @property
    def summed(self) -> int:
        """The axis of the kernel that counts the input's features."""
        return self._numbers.rhs_spec[1]

    def place_of(self, axis: int, x: jax.Array, ndim: int) -> int:
        """Which axis of the output counts the features."""
        del axis, x, ndim
        return self._numbers.out_spec[1]

    def met_by(self, axis: int) -> int:
        """Which axis of the input counts the features."""
        del axis
        return self._numbers.lhs_spec[1]

    @property
    def _numbers(self) -> jax.lax.ConvDimensionNumbers:
        return self.eqn.params["dimension_numbers"]


def conv_general_dilated(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any] | None:
    """A perturbed kernel over an array of images."""
    x, kernel = operands
    groups = eqn.params["feature_group_count"] * eqn.params["batch_group_count"]
    if isinstance(x, Perturbed) or groups > 1 or has_explicit_axes():
        return None
    out = _convolve(jnp.asarray(x), kernel.whole().settled(), Convolution(eqn))
    is_result(out)
    return [out]


def _convolve(x: jax.Array, kernel: Perturbed, conv: Convolution) -> jax.Array:
    if isinstance(kernel.recipe, LowRank) and _has_own_side(kernel, conv.kept):
        return _through_the_rank(x, kernel, conv)
    if isinstance(kernel.recipe, Block) and not kernel.recipe.cut:
        return contract_if_active(lambda x, kernel: _convolve(x, kernel, conv), x, kernel, conv)
    if cut := cut_of_input_features(kernel, conv.summed):
        return by_summed_axis(x, kernel, conv, cut)
    if cut := cut_of_kept(kernel, [conv.kept]):
        return by_kept_axis(x, kernel, conv, cut)
    return conv(x, kernel.dense(x, fuses=False))


def _has_own_side(kernel: Perturbed, axis: int) -> bool:
    """Whether factors of this axis alone meet those of all others, and make the output larger."""
    factors = kernel.recipe
    others = {*factors.axes[:axis], *factors.axes[axis + 1 :]}
    return (
        len(others) == 1
        and {factors.axes[axis], *others} == {"r", "c"}
        and factors.left.shape[-1] < kernel.base.shape[axis]
    )


def _through_the_rank(x: jax.Array, kernel: Perturbed, conv: Convolution) -> jax.Array:
    """One convolution with the base kernel for all points, and for each a thin one beside it."""
    base, factors = conv(x, kernel.cast(kernel.base)), kernel.recipe
    of_output, of_patch = factors.left, factors.right
    if factors.axes[conv.kept] == "c":
        of_output, of_patch = of_patch, of_output
    wide = conv.summed_widely(x)
    thin = jnp.moveaxis(of_patch, -1, conv.kept).astype(wide.dtype)
    u = wide(x.astype(wide.dtype), thin)
    out = LETTERS[: base.ndim]
    feature = out[conv.place_of(conv.kept, x, kernel.ndim)]
    u = kernel.radius * factors.scale * u
    low_rank = sum_over_rank(u, out.replace(feature, "z"), of_output, feature + "z", out)
    return base + low_rank.astype(base.dtype)
