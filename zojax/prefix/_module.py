"""The keys and values before a sequence, and the places of a model where they are or can be."""

import jax
from flax import nnx

Path = tuple[str | int, ...]


class PrefixParam(nnx.Param):
    """A parameter of a prefix."""


class Prefix(nnx.Module):
    """What `zojax.prefix.adapt` puts into an attention module.

    Attributes:
      past_key: K_0, (length, key heads, head width), with a leading axis in a stack of layers; keys
        of rotary attention are rotated already.
      past_value: V_0, the same shape.
    """

    def __init__(self, past_key: jax.Array, past_value: jax.Array):
        self.past_key = PrefixParam(past_key)
        self.past_value = PrefixParam(past_value)


def attention(model: nnx.Module) -> nnx.Module:
    """The attention module, stacked over the layers, that can take a prefix.

    Raises:
      TypeError: if the model has not exactly one.
    """
    found = [node for _, node in nnx.iter_modules(model) if hasattr(node, "prefix")]
    if len(found) != 1:
        raise TypeError(
            f"{type(model).__name__} has {len(found)} stacks of attention that can take a prefix; "
            "the models of zojax.models have one"
        )
    return found[0]


def of(model: nnx.Module) -> Prefix:
    """The prefix of a model.

    Raises:
      ValueError: if it has none.
    """
    prefix = attention(model).prefix
    if prefix is None:
        raise ValueError(
            f"{type(model).__name__} has no prefix; give it one with zojax.prefix.adapt, or "
            "read it with zojax.prefix.load_peft"
        )
    return prefix


def check_plain(model: nnx.Module) -> None:
    """Raises ValueError if the model has a prefix."""
    if attention(model).prefix is not None:
        raise ValueError(f"{type(model).__name__} already has a prefix; adapt the model without it")


def with_prefix(model: nnx.Module, past_key: jax.Array, past_value: jax.Array) -> nnx.Module:
    """A new model with a prefix, which shares the other arrays."""
    new = nnx.clone(model)  # variables of its own, around the same arrays
    attention(new).prefix = Prefix(past_key, past_value)
    return new


def remove(model: nnx.Module) -> nnx.Module:
    """Returns the model without its prefix: what it was before, sharing its arrays.

    Raises:
      ValueError: if it has none.
    """
    of(model)
    new = nnx.clone(model)
    attention(new).prefix = None
    return new
