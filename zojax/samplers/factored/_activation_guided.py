"""Factored directions in the space that a layer's inputs span."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from zojax import _checks
from zojax._measurement import Losses
from zojax._orthonormal import orthonormal
from zojax._typing import Key, Params
from zojax.noise import Role, _keys, gaussian_law
from zojax.recipes import Dense, Directions, LowRank, dense_recipes
from zojax.samplers._kernel_views import kernels_as_matrices
from zojax.samplers._sampler import Sampler, ignore
from zojax.samplers._views import Views
from zojax.samplers.factored._matrices import Kinds, Matrix, matrices
from zojax.samplers.factored._parts import draw_part

_SIDES = ("left", "right")
_exact = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


class _Guided(NamedTuple):
    """What `guide` tells `draw`.

    Attributes:
      sides: which factor of a matrix spans the inputs, "left" or "right", by the path of the leaf.
      sketches: Y = Xᵀ X Q of the last round, (n, r), or of a stack (layers, n, r); float32.
    """

    sides: dict[str, str]
    sketches: dict[str, jax.Array]


def activation_guided(
    rank: int,
    iterations: int = 2,
    *,
    scale: float = 1.0,
    views: Views = kernels_as_matrices,
    bits: int = 8,
) -> Sampler:
    """Z = scale · A Rᵀ on matrices: A spans the inputs of a layer, R ~ N(0, 1)^{m x r}.

    For a weight W, n by m, in a product X W with the inputs X of all tokens, (tokens, n), the
    gradient is Xᵀ times something, so it lies in the space that the rows of X span. A is an
    orthonormal basis of (about) the r directions of that space that X has most of, by p rounds of
    power iteration, begun with noise Ω that is drawn in every step:

        Q ← orth(Xᵀ X Q),  p times from Ω,    A = Q                                            (1)

    Where the product is with Wᵀ (an embedding that is the head), so is the direction. For a weight
    that is used several times the Xᵀ X Q of the last round are added up. Matrices that no
    contraction meets (an embedding whose rows are gathered), or only inside `cond` or `while` or
    along batch axes (experts), have a random orthonormal basis on their shorter side; what is no
    matrix has N(0, I).

    On a linear loss the mean of s z is scale² times the part of the gradient in the span of A.
    `covariance` says scale² r/n, which is that of a random A on the side of the rows.

    The inputs are those at params: a step evaluates the loss there, which `forward` needs anyway.
    Nothing is stored. A step cannot be made again from its losses (`zojax.Recorded`), nor can
    directions of earlier steps be drawn again.

    Args:
      rank: r, at least 1. A matrix with a side below r gets that side.
      iterations: p, at least 1; each takes 2 r multiplications for each number of X.
      scale: the factor in front, above 0.
      views: (path, leaf) -> which axes are rows and columns; see `MatrixView`.
      bits: random bits of a gaussian number, 8, 16 or 32 (see `gaussian`).

    Raises:
      ValueError: if a number is out of range, or a view does not fit; when a step is made again
        from its losses.

    Source: arXiv:2601.17261 (AGZO).
    """
    _checks.at_least(1, rank=rank, iterations=iterations)
    _checks.positive(scale=scale)
    kinds = Kinds("haar", "identity", "gaussian", bits)
    noisy = kinds._replace(left="gaussian")
    kinds.check()

    def seen(params: Params) -> list[Matrix | None]:
        return matrices(params, views, kinds, rank, scale)

    def guide(
        state: tuple[()], key: Key, step: jax.Array, params: Params, losses: Losses
    ) -> _Guided:
        del state
        if losses.inputs is None:
            raise ValueError(
                "directions of activation_guided are made of the inputs of layers: a step cannot "
                "be made again from its losses alone; go on from a checkpoint instead"
            )
        leaves = dict(zip(_paths(params), seen(params), strict=True))
        starts = dict(zip(leaves, _starts(key, step, params, list(leaves.values())), strict=True))
        sides: dict[str, str] = {}

        def sketch(
            path: str, shape: tuple[int, ...], axes: tuple[int, ...], x: jax.Array
        ) -> jax.Array | None:
            side = _side_of_inputs(leaves[path], shape, axes)
            if side is None or sides.setdefault(path, side) != side:
                return None
            start = starts[path][side]
            start = start.reshape(-1, *start.shape[-2:])[0]
            return _power_iteration(x.reshape(x.shape[0], -1), start, iterations)

        return _Guided(sides, losses.inputs(sketch))

    def draw(
        state: _Guided, key: Key, step: jax.Array, num_queries: int, params: Params
    ) -> tuple[Directions, tuple[()]]:
        leaves = seen(params)
        starts = _starts(key, step, params, leaves)
        bases: list[tuple[str, jax.Array] | None] = []
        for path, matrix, start in zip(_paths(params), leaves, starts, strict=True):
            if matrix is None:
                bases.append(None)
                continue
            side = state.sides.get(path, "left" if matrix.m <= matrix.n else "right")
            sketch = state.sketches.get(path, start[side])
            # Of inputs that are no numbers, or too large to be squared, no basis is made.
            spanning = jnp.where(jnp.all(jnp.isfinite(sketch)), sketch, start[side])
            bases.append((side, orthonormal(spanning)))

        def one(key: Key) -> Directions:
            noise = _sides(key, params, leaves)
            recipes: list[Dense | LowRank] = list(_dense(key, params))
            for place, basis in enumerate(bases):
                if basis is not None:
                    both = {**noise[place], basis[0]: basis[1]}
                    recipes[place] = leaves[place].factors(both["left"], both["right"])
            return tuple(recipes)

        return jax.vmap(one)(_keys.query_keys(key, step, num_queries)), ()

    def _starts(key: Key, step: jax.Array, params: Params, leaves: list[Matrix | None]) -> Any:
        return _sides(_keys.refresh_key(key, step), params, leaves)

    def _sides(
        key: Key, params: Params, leaves: list[Matrix | None]
    ) -> list[dict[str, jax.Array] | None]:
        """Gaussian factors of every matrix."""
        pairs = zip(*(draw_part(side, noisy, key, params, leaves) for side in _SIDES), strict=True)
        return [matrix and dict(zip(_SIDES, next(pairs), strict=True)) for matrix in leaves]

    def _dense(key: Key, params: Params) -> Directions:
        shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
        keys = _keys.leaf_keys(key, params, Role.DIRECTION)
        return dense_recipes(gaussian_law(bits), keys, shapes)

    def covariance(params: Params) -> Params:
        c = [1.0 if matrix is None else matrix.covariance for matrix in seen(params)]
        return jax.tree.unflatten(jax.tree.structure(params), c)

    return Sampler(lambda params: (), draw, ignore, covariance, guide=guide)


def _paths(params: Params) -> list[str]:
    return [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]


def _side_of_inputs(
    matrix: Matrix | None, shape: tuple[int, ...], axes: tuple[int, ...]
) -> str | None:
    """Which side of a matrix is summed over; None if these axes of the part of it are no side."""
    if matrix is None:
        return None
    before = len(matrix.shape) - len(shape)
    if matrix.shape[before:] != shape or not set(range(before)) <= set(matrix.view.batch):
        return None
    summed = tuple(axis + before for axis in axes)
    sides = {tuple(sorted(matrix.view.rows)): "left", tuple(sorted(matrix.view.columns)): "right"}
    return sides.get(summed)


def _power_iteration(x: jax.Array, start: jax.Array, iterations: int) -> jax.Array:
    """Y of the last round, (n, r), from X, (tokens, n); the basis that it spans is not made yet."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    y = start
    for iteration in range(iterations):
        q = orthonormal(y) if iteration else y
        y = _exact("tn,tr->nr", x, _exact("tn,nr->tr", x, q))
    return y
