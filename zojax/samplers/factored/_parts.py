"""Drawing the parts of factored directions, for all matrices at once."""

import jax
import jax.numpy as jnp

from zojax._orthonormal import orthonormal
from zojax._typing import Key, Params
from zojax.noise import Law, Role, _keys, draw_arrays, gaussian_law
from zojax.samplers.factored._matrices import Kinds, Matrix

_ROLES = {"left": Role.LEFT, "core": Role.CORE, "right": Role.RIGHT}
_CORE_KINDS = {"identity": "identity", "diagonal": "gaussian", "gaussian": "gaussian"}


def draw_part(
    side: str, kinds: Kinds, key: Key, params: Params, leaves: list[Matrix | None]
) -> list[jax.Array | None]:
    """One part ("left", "core" or "right") of every matrix; None where it is an identity."""
    kind = _CORE_KINDS[kinds.core] if side == "core" else getattr(kinds, side)
    shapes = [matrix.shapes[side] for matrix in leaves if matrix is not None]
    if kind == "identity" or not shapes:
        return [None] * len(shapes)
    places = [place for place, matrix in enumerate(leaves) if matrix is not None]
    keys = _keys.leaf_keys(key, params, _ROLES[side])[jnp.array(places)]
    if kind == "haar":
        return [orthonormal(part) for part in _draw(gaussian_law(32), keys, shapes)]
    return _draw(gaussian_law(kinds.bits), keys, shapes)


def _draw(law: Law, keys: Key, shapes: list[tuple[int, ...]]) -> list[jax.Array]:
    """Matrices of these shapes, each drawn with the longer of its two axes along the rows."""
    tall = [shape[-2] > shape[-1] for shape in shapes]
    drawn = draw_arrays(
        law,
        keys,
        [
            (*shape[:-2], shape[-1], shape[-2]) if is_tall else shape
            for shape, is_tall in zip(shapes, tall, strict=True)
        ],
    )
    return [part.mT if is_tall else part for part, is_tall in zip(drawn, tall, strict=True)]


def kept_part(
    side: str,
    kinds: Kinds,
    period: int | None,
    kept: list[jax.Array],
    key: Key,
    step: jax.Array,
    params: Params,
    leaves: list[Matrix | None],
) -> list[jax.Array]:
    """A part that is kept for `period` steps (None: for the run), drawn anew where one begins."""
    return jax.lax.cond(
        begins(period, step),
        lambda: past_part(side, kinds, period, key, step, params, leaves),
        lambda: kept,
    )


def past_part(
    side: str,
    kinds: Kinds,
    period: int | None,
    key: Key,
    step: jax.Array,
    params: Params,
    leaves: list[Matrix | None],
) -> list[jax.Array]:
    """A kept part as it is in some step, drawn from the index of its refresh."""
    refresh = step // period if period is not None else jnp.zeros_like(step)
    return draw_part(side, kinds, _keys.refresh_key(key, refresh), params, leaves)


def begins(period: int | None, step: jax.Array) -> jax.Array:
    """Whether a part that is kept for `period` steps is drawn anew in this one."""
    return step % period == 0 if period is not None else step == 0
