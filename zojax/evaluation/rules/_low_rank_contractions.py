"""Contractions with a leaf whose direction has low rank: x · W + r (x · L) · Rᵀ."""

import jax
import jax.numpy as jnp

from zojax import _thresholds
from zojax._schedule import make_after
from zojax.evaluation._perturbed import Perturbed
from zojax.evaluation.rules._dot import Dot
from zojax.recipes import sum_over_rank


def through_the_rank(x: jax.Array, leaf: Perturbed, dot: Dot) -> jax.Array:
    """What the direction adds to the product of the base: r (x · L) · Rᵀ, or r (x · R) · Lᵀ."""
    of_x, of_leaf, out = dot.letters(x, leaf.ndim)
    summed = {of_leaf[axis] for axis in dot.contract_w}
    return _products(x, of_x, leaf, of_leaf, summed, out, dot)


def _products(
    x: jax.Array, of_x: str, leaf: Perturbed, of_leaf: str, summed: set[str], out: str, dot: Dot
) -> jax.Array:
    """The product r x · L · Rᵀ (or r x · R · Lᵀ): first what has all that is summed over."""
    factors, radius = leaf.recipe, leaf.radius * leaf.recipe.scale
    _, of_left, of_right = factors.subscripts(of_leaf)
    sides = [(factors.left, of_left), (factors.right, of_right)]
    exact = dict(
        precision=dot.how.get("precision"),
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )
    for (first, of_first), (second, of_second) in (sides, sides[::-1]):
        if summed <= set(of_first) and not summed & set(of_second):
            inner = "".join(dict.fromkeys(c for c in of_x + of_first if c not in {*summed, "z"}))
            u = radius * jnp.einsum(f"{of_x},{of_first}->{inner}z", x, first, **exact)
            if factors.of_stack and 1 < second.shape[-1] <= _thresholds.FUSED_RANK:
                # Read out of the stack for every entry of the result, it should lie side by side.
                second = make_after(lambda factor: jnp.moveaxis(factor, -1, 0), second, x)
                of_second = "z" + of_second[:-1]
            return sum_over_rank(u, inner + "z", second, of_second, out)
    return radius * jnp.einsum(
        f"{of_x},{of_left},{of_right}->{out}", x, *(side[0] for side in sides), **exact
    )
