"""From a model to an adapted one, with layers chosen by path.

    A ~ U(-1/√in, 1/√in),    B = 0

so the adapted model starts as the function that the model was. The law of A is that of the official
code (Kaiming's with a = √5); its variance, 1/(3 in), does not depend on the rank, so atoms of
adapters of every rank start alike. What MeZO's runs adapt: q_proj and v_proj, rank 8, scale 2.
"""

import difflib
import fnmatch
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax import _checks
from zojax._typing import Key
from zojax.lora import _places
from zojax.lora._places import Path
from zojax.noise import _keys


def adapt(
    model: nnx.Module,
    targets: str | Iterable[str],
    *,
    rank: int,
    scale: float,
    key: Key,
    dtype: DTypeLike = jnp.float32,
) -> nnx.Module:
    """Returns the model with an adapter at every linear layer that a target names.

    The model that is given stays as it is; the two share the arrays of the weights, so neither
    must be used after the other's weights were donated. A layer's A depends on the key and on the
    layer's path alone, not on the other targets.

    Args:
      model: any NNX model without adapters, its layers stacked or not.
      targets: ends of dotted paths, in whole names and with the wildcards of a shell: "q_proj",
        "self_attn.q_proj", "layers.*", "fc?". A layer that the model uses in several places has
        the first of its paths, in the order of the alphabet, and one adapter.
      rank: columns of A and rows of B, at least 1 and at most min(in, out) of every target.
      scale: what the product of A and B is multiplied with, above 0; see `canonical_scale` and
        `ar1_scale`.
      key: a typed key.
      dtype: of A and B. With float32, adapters of bfloat16 weights are added in float32.

    Returns:
      A new model whose targets are `LoRALinear`; `nnx.split(model, nnx.LoRAParam, ...)` gives the
      adapter and the rest.

    Raises:
      TypeError: if the key is no typed key.
      ValueError: if a target matches no linear layer, the model has adapters, or a number is out of
        range.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax import lora
      >>> from zojax.models import OPT, OPTConfig
      >>> config = OPTConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2,
      ...                    num_attention_heads=2, ffn_dim=16, max_position_embeddings=16)
      >>> model = OPT(config, rngs=nnx.Rngs(0))
      >>> model = lora.adapt(model, ["v_proj"], rank=3, scale=2.0, key=jax.random.key(0))
      >>> graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)
      >>> jax.tree.map(jnp.shape, nnx.to_pure_dict(adapter))
      {'layers': {'self_attn': {'v_proj': {'lora_a': (2, 8, 3), 'lora_b': (2, 3, 8)}}}}
    """
    _keys.check(key)
    _checks.positive(scale=scale)
    _places.check_dtype(dtype)
    _places.check_plain(model)
    layers = _chosen(_places.linear_layers(model), targets)
    _places.check_rank(rank, layers)
    return _places.with_adapters(model, _new_factors(key, layers, rank, dtype), float(scale))


def _new_factors(
    key: Key, layers: dict[Path, nnx.Linear], rank: int, dtype: DTypeLike
) -> dict[Path, tuple[jax.Array, jax.Array]]:
    # A dictionary is flattened in the order of its names, which the paths have to follow.
    named = {_places.dotted(path): path for path in layers}
    keys = _keys.leaf_keys(key, dict.fromkeys(named, 0), _keys.Role.LEFT)
    factors = {}
    for key, (_, path) in zip(keys, sorted(named.items()), strict=True):
        *stacked, inputs, outputs = layers[path].kernel.shape
        bound = inputs**-0.5
        a = jax.random.uniform(key, (*stacked, inputs, rank), jnp.float32, -bound, bound)
        factors[path] = a.astype(dtype), jnp.zeros((*stacked, rank, outputs), dtype)
    return factors


def _chosen(layers: dict[Path, nnx.Linear], targets: str | Iterable[str]) -> dict[Path, nnx.Linear]:
    targets = (targets,) if isinstance(targets, str) else tuple(targets)
    if not targets:
        raise ValueError('targets is empty; name layers to adapt, such as ("q_proj", "v_proj")')
    names = {path: _places.dotted(path) for path in layers}
    for target in targets:
        if not any(_matches(name, target) for name in names.values()):
            raise ValueError(
                f"target {target!r} matches no linear layer of the model; the nearest are "
                f"{', '.join(_nearest(target, names.values())) or 'none, it has no nnx.Linear'}"
            )
    return {p: layers[p] for p, name in names.items() if any(_matches(name, t) for t in targets)}


def _matches(name: str, target: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in (target, f"*.{target}"))


def _nearest(target: str, names: Iterable[str]) -> list[str]:
    """The three paths whose ends, of as many names as the target has, are most like it."""
    depth = target.count(".") + 1

    def likeness(name: str) -> float:
        end = ".".join(name.split(".")[-depth:])
        return difflib.SequenceMatcher(None, target, end).ratio()

    return sorted(names, key=likeness, reverse=True)[:3]
