"""Rotary positions: pairs of entries of queries and keys, turned by angles that grow with position.

Entries j and j + D/2 of a head of width D at position p are the plane that turns by p f_j:

    default    f_j = θ^(-2j/D)
    linear     f_j / s
    llama3     (1 - γ_j) f_j / s + γ_j f_j,    γ_j = (L f_j / 2π - low) / (high - low) in [0, 1]

s is `factor`, L `original_max_position_embeddings`, low and high `low_freq_factor` and
`high_freq_factor`: what turned fewer than low times over the L positions of pretraining is slowed
by s, what turned more than high times is left alone. A product of query and key then depends on
how far apart the two are, not on where they stand.

Reference: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding",
arXiv:2104.09864; for llama3, Grattafiori et al., "The Llama 3 Herd of Models", arXiv:2407.21783.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from zojax.models import _fields

_SETTINGS = {
    "default": (),
    "linear": ("factor",),
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
}


@dataclasses.dataclass(frozen=True)
class Rope:
    """How fast the planes turn; names and meanings of `rope_parameters` in `config.json`.

    Attributes:
      rope_type: "default", "linear" or "llama3".
      rope_theta: θ, above 0.
      factor: s, above 0; this and the next are None where the type has no use for them.
      low_freq_factor: turns below which a plane is slowed.
      high_freq_factor: turns above which it is not; larger than `low_freq_factor`.
      original_max_position_embeddings: L.

    Raises:
      ValueError: if the type is another one, or a number is missing, out of place or out of range.
    """

    rope_type: str = "default"
    rope_theta: float = 10000.0
    factor: float | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None

    def __post_init__(self):
        _fields.check(self)
        if self.rope_type not in _SETTINGS:
            raise ValueError(
                f"rope_type is {self.rope_type!r}; zojax.models has {', '.join(_SETTINGS)}."
            )
        needed = ("rope_theta", *_SETTINGS[self.rope_type])
        for name, value in dataclasses.asdict(self).items():
            if name in needed and not (isinstance(value, (int, float)) and value > 0):
                raise ValueError(
                    f"rope_type {self.rope_type!r} needs {name} above 0 in rope_parameters, "
                    f"not {value!r}."
                )
            if name not in ("rope_type", *needed) and value is not None:
                raise ValueError(
                    f"rope_type {self.rope_type!r} has no use for {name} = {value!r} in "
                    "rope_parameters; leave it out, or name the type that is meant."
                )
        if self.rope_type == "llama3" and self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(
                f"low_freq_factor = {self.low_freq_factor} must be below high_freq_factor = "
                f"{self.high_freq_factor}."
            )

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Takes `rope_parameters` of a `config.json`, or the older `rope_scaling`.

        Raises:
          ValueError: if it says something that is not offered here.
        """
        rope = dict(settings)
        old_name = rope.pop("type", None)
        if old_name is not None:
            rope.setdefault("rope_type", old_name)
        partial = rope.pop("partial_rotary_factor", None)
        if partial not in (None, 1):
            raise ValueError(
                f"partial_rotary_factor is {partial!r}; zojax.models turns whole heads, 1.0."
            )
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(rope.keys() - known):
            raise ValueError(
                f"rope_parameters has {', '.join(unknown)}; zojax.models reads "
                f"{', '.join(sorted(known))}."
            )
        return cls(**rope)

    def to_dict(self) -> dict[str, Any]:
        """What is not None, for a `config.json`."""
        return {name: x for name, x in dataclasses.asdict(self).items() if x is not None}

    def frequencies(self, width: int) -> np.ndarray:
        """f_j in radians a position, (width/2,), float32 rounded from float64."""
        plain = self.rope_theta ** -(np.arange(0, width, 2) / width)
        if self.rope_type == "default":
            return plain.astype(np.float32)
        slow = plain / self.factor
        if self.rope_type == "linear":
            return slow.astype(np.float32)
        turns = self.original_max_position_embeddings * plain / (2 * math.pi)
        low, high = self.low_freq_factor, self.high_freq_factor
        kept = np.clip((turns - low) / (high - low), 0, 1)
        return ((1 - kept) * slow + kept * plain).astype(np.float32)


class Rotation(NamedTuple):
    """Cosines and sines of the angles, (batch, length, 1, head width / 2) each, float32."""

    cos: jax.Array
    sin: jax.Array


def rotation(rope: Rope, positions: jax.Array, width: int) -> Rotation:
    """The turn of each position, the same in all layers and heads.

    Args:
      rope: how fast the planes turn.
      positions: integers of at least 0, (batch, length).
      width: of a head, even.
    """
    angles = positions[..., None, None].astype(jnp.float32) * rope.frequencies(width)
    return Rotation(jnp.cos(angles), jnp.sin(angles))


def rotate(x: jax.Array, by: Rotation) -> jax.Array:
    """Turns queries or keys, (batch, length, heads, head width), in float32; keeps their dtype."""
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = (first * by.cos - second * by.sin, second * by.cos + first * by.sin)
    return jnp.concatenate(turned, axis=-1).astype(x.dtype)
