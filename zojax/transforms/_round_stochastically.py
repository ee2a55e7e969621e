"""Updates of narrow params that are right on average."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from zojax import _checks
from zojax._dtypes import widened
from zojax._typing import Key, Params
from zojax.noise import UNIFORM_16, keys
from zojax.recipes import dense_recipes, draw_small_leaves
from zojax.transforms._stochastic_round import NARROW, stochastic_round


class RoundStochasticallyState(NamedTuple):
    """State of `round_stochastically`.

    Attributes:
      rounding_key: the key that the roundings are derived from; never changes.
      rounding_step: updates so far, shape (), int32.
      inner_state: of the transformation inside.
    """

    rounding_key: Key
    rounding_step: jax.Array
    inner_state: Any


def round_stochastically(
    inner: optax.GradientTransformation, key: Key
) -> optax.GradientTransformationExtraArgs:
    """Makes updates after which bfloat16 and float16 params are right on average.

        u' = SR(x + u) - x,    E[x + u'] = x + u                                                (1)

    u is the update of `inner` in float32, SR rounds to one of the two neighbors at random, and
    `optax.apply_updates`, which rounds to nearest, then gives SR(x + u). So updates below half the
    spacing of a weight are not lost, as they are to rounding to nearest: bfloat16 has 8 significant
    bits, and at a weight of 0.02 nothing below 6e-5 would change it.

    The random numbers depend on (key, step, leaf path, place in the leaf) alone, as directions do:
    a resumed run rounds as it would have, on any mesh, and nothing of the size of params is stored.
    They are made where they are used: a call of the cipher for each weight. Leaves of float32 and
    wider are updated as ever, and updates of -0.0 change nothing.

    It goes around the whole optimizer: `round_stochastically(zojax.mezo(1e-6, key), key)`. Moments
    that `inner` keeps of narrow params are float32.

    Args:
      inner: an optimizer.
      key: a typed key; it may be that of `inner`.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: in `init` for leaves of 8 bits.

    Source: see `zojax.stochastic_round`.

    Examples:
      >>> import jax, jax.numpy as jnp, optax, zojax
      >>> x = jnp.ones(10_000, jnp.bfloat16)  # the next number below 1 is 1 - 2⁻⁸
      >>> tx = zojax.round_stochastically(optax.sgd(1.0), jax.random.key(0))
      >>> updates, state = tx.update(jnp.full_like(x, 1e-4), tx.init(x), x)
      >>> new = optax.apply_updates(x, updates)
      >>> bool(abs(new.astype(jnp.float32).mean() - (1 - 1e-4)) < 3e-5)
      True
    """
    keys.check(key)
    inner = optax.with_extra_args_support(inner)

    def init_fn(params: Params) -> RoundStochasticallyState:
        _check_dtypes(params)
        return RoundStochasticallyState(
            jnp.copy(key), jnp.zeros((), jnp.int32), init_widened(inner, params)
        )

    def update_fn(
        updates: optax.Updates,
        state: RoundStochasticallyState,
        params: Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, RoundStochasticallyState]:
        _checks.given("round_stochastically", params=params)
        updates, inner_state = inner.update(
            updates, state.inner_state, params, wide_updates=True, **extra_args
        )
        leaves, treedef = jax.tree.flatten(params)
        bits = _bits(keys.refresh_key(state.rounding_key, state.rounding_step), params)
        rounded = [
            u if drawn is None else _rounded(x, u, drawn)
            for x, u, drawn in zip(leaves, treedef.flatten_up_to(updates), bits, strict=True)
        ]
        step = optax.safe_increment(state.rounding_step)
        return treedef.unflatten(rounded), RoundStochasticallyState(
            state.rounding_key, step, inner_state
        )

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def init_widened(inner: optax.GradientTransformation, params: Params) -> Any:
    """The state of `inner` for params in float32, which exist for no longer than it reads them."""
    return jax.jit(lambda params: inner.init(widened(params)))(params)


def _rounded(x: jax.Array, u: jax.Array, bits: jax.Array) -> jax.Array:
    """Equation (1) for one leaf, float32; -0.0 where nothing changes."""
    old = x.astype(jnp.float32)
    new = stochastic_round(old + u.astype(jnp.float32), x.dtype, bits).astype(jnp.float32)
    return jnp.where(new == old, -0.0, new - old)


def _bits(key: Key, params: Params) -> list[jax.Array | None]:
    """Integers below 2¹⁶ for every entry of the narrow leaves, int32; None for the others."""
    leaves = jax.tree.leaves(params)
    shapes = [leaf.shape for leaf in leaves]
    narrow = [leaf.dtype in NARROW for leaf in leaves]
    recipes = dense_recipes(UNIFORM_16, keys.leaf_keys(key, params, keys.Role.ROUNDING), shapes)
    recipes = draw_small_leaves(recipes, shapes)
    return [
        recipe.draw(shape).astype(jnp.int32) if is_narrow else None
        for recipe, shape, is_narrow in zip(recipes, shapes, narrow, strict=True)
    ]


def _check_dtypes(params: Params) -> None:
    for path, leaf in jax.tree.leaves_with_path(params):
        if leaf.dtype not in NARROW and jnp.finfo(leaf.dtype).bits < 32:
            raise ValueError(
                f"params{jax.tree_util.keystr(path)} is {leaf.dtype}; round_stochastically rounds "
                "to bfloat16 and float16. Keep weights of fewer bits frozen"
            )
