"""The parts that families share: linear maps, norms, tables, and the stack of layers."""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models._attention import Memory

_ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_new": jax.nn.gelu,
    "gelu_pytorch_tanh": jax.nn.gelu,
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
}


def activation(name: str, setting: str) -> Callable[[jax.Array], jax.Array]:
    """The function that `config.json` calls `name`.

    Raises:
      ValueError: if it is none of those that exist here, naming the setting it comes from.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"{setting} is {name!r}; zojax.models has {', '.join(_ACTIVATIONS)}.")
    return _ACTIVATIONS[name]


def linear_maker(
    deviation: float, *, use_bias: bool, dtype: DTypeLike, rngs: nnx.Rngs
) -> Callable[..., nnx.Linear]:
    """A function (inputs, outputs) → linear map with a kernel from N(0, deviation²) and bias 0."""
    return functools.partial(
        nnx.Linear,
        use_bias=use_bias,
        param_dtype=dtype,
        kernel_init=nnx.initializers.normal(deviation),
        rngs=rngs,
    )


def table_maker(deviation: float, *, dtype: DTypeLike, rngs: nnx.Rngs) -> Callable[..., nnx.Embed]:
    """A function (rows, width) → table with entries from N(0, deviation²)."""
    return functools.partial(
        nnx.Embed,
        param_dtype=dtype,
        embedding_init=nnx.initializers.normal(deviation),
        rngs=rngs,
    )


def rows(table: nnx.Embed, index: jax.Array) -> jax.Array:
    """The rows of a table, in its dtype; NaN for an index beyond it."""
    # Not table(index): that casts the table to the dtype it was built with, whole, when the caller
    # has cast the parameters since.
    return jnp.take(table.embedding[...], index, axis=0)


def layer_norm(
    width: int,
    epsilon: float,
    *,
    affine: bool = True,
    use_bias: bool = True,
    dtype: DTypeLike,
    rngs: nnx.Rngs,
) -> nnx.LayerNorm:
    """A norm over the features; statistics and scaling in float32, result in the input's dtype."""
    return nnx.LayerNorm(
        width,
        epsilon=epsilon,
        use_bias=affine and use_bias,
        use_scale=affine,
        use_fast_variance=False,  # E[x²] - E[x]² cancels where activations sit far from zero
        param_dtype=dtype,
        rngs=rngs,
    )


def contract(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Logits: x @ kernel + bias, accumulated and returned in float32."""
    y = jnp.matmul(x, kernel, preferred_element_type=jnp.float32)
    return y if bias is None else y + bias.astype(jnp.float32)


def stack(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> Any:
    """`count` layers as one module, each parameter with a leading axis for the layer.

    Args:
      make: one layer from its randomness.
      count: how many.
      rngs: for all of them.
    """
    return nnx.split_rngs(splits=count)(nnx.vmap(make, in_axes=0, out_axes=0))(rngs)


def run(
    stacked: nnx.Module,
    x: jax.Array,
    memory: Memory | None,
    of_layers: dict[str, jax.Array | None] | None = None,
    **shared: Any,
) -> tuple[jax.Array, Memory | None]:
    """Runs a stack of layers by one `jax.lax.scan`.

    Args:
      stacked: what `stack` made; each layer is called as `layer(x, memory, **of_layer, **shared)`
        and returns the next x and its memory.
      x: activations.
      memory: keys and values, with a leading axis for the layer; None for none. It is written where
        it lies, so that a loop that generates tokens holds it once.
      of_layers: arguments with a leading axis for the layer; None for none.
      **shared: what is the same for all layers.

    Returns:
      The activations of the last layer, and the memory of all.
    """
    return _scan(stacked, x, memory, of_layers, lambda of_layer: shared | (of_layer or {}))


def run_kinds(
    stacked: nnx.Module,
    x: jax.Array,
    memory: Memory | None,
    kinds: Sequence[Hashable],
    arguments: Callable[[Any], dict[str, Any]],
) -> tuple[jax.Array, Memory | None]:
    """The same with layers of several kinds, each of which is told what its kind asks for.

    What the kinds ask for is stacked, and each layer picks its own: the program has one layer,
    whatever the kinds and their order.

    Args:
      stacked: as above.
      x: as above.
      memory: as above.
      kinds: one for each layer.
      arguments: from a kind to what its layers are called with besides: trees of arrays, which
        differ between kinds in their values alone.
    """
    distinct = list(dict.fromkeys(kinds))
    if len(distinct) == 1:
        return run(stacked, x, memory, **arguments(distinct[0]))
    of_kinds = jax.tree.map(lambda *arrays: jnp.stack(arrays), *map(arguments, distinct))

    def pick(kind: jax.Array) -> dict[str, Any]:
        pick_one = functools.partial(jax.lax.dynamic_index_in_dim, index=kind, keepdims=False)
        return jax.tree.map(pick_one, of_kinds)

    places = jnp.array([distinct.index(kind) for kind in kinds], jnp.int32)
    return _scan(stacked, x, memory, places, pick)


def _scan(stacked, x, memory, of_layers, arguments):
    graphdef, params = nnx.split(stacked)

    def body(carry, inputs):
        x, memory = carry
        params, place, of_layer = inputs
        pick = functools.partial(jax.lax.dynamic_index_in_dim, index=place, keepdims=False)
        put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=place, axis=0)
        layer = nnx.merge(graphdef, params)
        x, of_this = layer(x, jax.tree.map(pick, memory), **arguments(of_layer))
        return (x, jax.tree.map(put, memory, of_this)), None

    places = None if memory is None else jnp.arange(len(memory.key), dtype=jnp.int32)
    return jax.lax.scan(body, (x, memory), (params, places, of_layers))[0]
