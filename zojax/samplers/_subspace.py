"""What a sampler says about coordinates that are smaller than params."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from zojax._typing import Key, Params


class Subspace(NamedTuple):
    """Coordinates x of directions that do not fill the space of params: z = lift(x).

    Cores of factored directions, or the slice of params that is active in a step. State of optax
    links (moments, say) can then live in the coordinates, see `inner` of `estimate_gradient`. x is
    a tree like params, with optax.MaskedNode for leaves that have no coordinates.

    The coordinates may move: a basis is drawn anew, another slice becomes active. `enter` and
    `leave` say what this does to the state of the links; keeping it as it is would read old
    numbers in a new basis.

    Attributes:
      init: `(inner, params) -> kept`, the state of the links for all coordinates.
      combine: `(state, key, step, coefficients, directions, params) -> x`, Σ_k c_k x_k, float32 or
        wider. `state` is that of the sampler after the draw.
      restrict: `(state, params) -> x of params`, None where params have no coordinates.
      enter: `(inner, kept, before, state, step, params) -> local`, the state of the links in the
        coordinates of this step; `before` is the sampler's state before the draw.
      leave: `(inner, kept, local, state, params) -> kept`.
      lift: `(state, x, rest, params) -> updates`; `rest`, a tree like params, has the leaves that
        have no coordinates.
      lift_squares: `(state, x, rest, params) -> tree`, what `lift` is with every entry of the
        directions of coordinates squared: from second moments of coordinates those of the entries
        of params, if coordinates are uncorrelated. None if nobody knows.
    """

    init: Callable[[optax.GradientTransformation, Params], Any]
    combine: Callable[[Any, Key, jax.Array, jax.Array, Any, Params], Params]
    restrict: Callable[[Any, Params], Params | None]
    enter: Callable[[optax.GradientTransformation, Any, Any, Any, jax.Array, Params], Any]
    leave: Callable[[optax.GradientTransformation, Any, Any, Any, Params], Any]
    lift: Callable[[Any, Params, Params, Params], Params]
    lift_squares: Callable[[Any, Params, Params, Params], Params] | None = None
