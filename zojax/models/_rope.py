"""How fast rotary positions turn: what a `config.json` says of it, and the frequencies it means.

Plane j of the D/2 planes of a head turns by p f_j at position p, in sequences of T positions:

    default    f_j = θ^(-2j/D)
    linear     f_j / s
    dynamic    f_j (s max(T, L)/L - s + 1)^(-2j/(D-2))
    llama3     (1 - γ_j) f_j / s + γ_j f_j,    γ_j = (L f_j / 2π - low) / (high - low) in [0, 1]
    yarn       (1 - γ_j) f_j / s + γ_j f_j,    γ_j = (j(slow) - j) / (j(slow) - j(fast)) in [0, 1]
    longrope   f_j / short_j, and f_j / long_j where T > L

s is `factor`, L `original_max_position_embeddings`, low and high `low_freq_factor` and
`high_freq_factor`; j(n) = D log(L / 2πn) / (2 log θ) is the plane that turns n times over the L
positions of pretraining, with n = `beta_fast` or `beta_slow`, rounded outwards unless `truncate` is
false. So in llama3 and yarn what turns seldom over these positions is slowed by s, what turns often
is left alone. yarn and longrope also multiply cosines and sines by m, `attention_factor`; where it
is not given,

    yarn       m = (0.1 a log s + 1) / (0.1 b log s + 1),  a = mscale, b = mscale_all_dim, or 1, 0
    longrope   m = √(1 + log s / log L)

and m = 1 for s at most 1. D is `partial_rotary_factor` times the width of a head.

Reference: Su et al., "RoFormer", arXiv:2104.09864; Peng et al., "YaRN", arXiv:2309.00071, also for
dynamic; Grattafiori et al., "The Llama 3 Herd of Models", arXiv:2407.21783; Ding et al.,
"LongRoPE", arXiv:2402.13753.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from zojax.models import _fields

_LENGTH = "original_max_position_embeddings"


class _Settings(NamedTuple):
    """What a type reads besides θ: numbers above 0, and what may be left out."""

    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_SETTINGS = {
    "default": _Settings(),
    "linear": _Settings(("factor",)),
    "dynamic": _Settings(("factor", _LENGTH)),
    "llama3": _Settings(("factor", "low_freq_factor", "high_freq_factor", _LENGTH)),
    "yarn": _Settings(
        ("factor", _LENGTH),
        ("attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
    ),
    "longrope": _Settings(
        ("factor", "short_factor", "long_factor", _LENGTH), ("attention_factor",)
    ),
}


@dataclasses.dataclass(frozen=True)
class Rope:
    """How fast the planes turn; names and meanings of `rope_parameters` in `config.json`.

    Attributes:
      rope_type: "default", "linear", "dynamic", "llama3", "yarn" or "longrope".
      rope_theta: θ, above 0.
      partial_rotary_factor: the part of each head that turns, its first entries; None for all.
      factor: s, above 0; this and the next are None where the type has no use for them.
      low_freq_factor: turns below which a plane is slowed.
      high_freq_factor: turns above which it is not; larger than `low_freq_factor`.
      original_max_position_embeddings: L.
      attention_factor: m; None for what the type says.
      beta_fast: turns above which a plane is left alone; None for 32.
      beta_slow: turns below which it is slowed; None for 1.
      mscale: a; None for 1.
      mscale_all_dim: b; None for 0.
      truncate: whether planes between are counted in whole ones; None for true.
      short_factor: short_j, one for each plane.
      long_factor: long_j.

    Raises:
      ValueError: if the type is another one, or a number is missing, out of place or out of range.
    """

    rope_type: str = "default"
    rope_theta: float = 10000.0
    partial_rotary_factor: float | None = None
    factor: float | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None
    attention_factor: float | None = None
    beta_fast: float | None = None
    beta_slow: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool | None = None
    short_factor: tuple[float, ...] | None = None
    long_factor: tuple[float, ...] | None = None

    def __post_init__(self):
        for name in ("short_factor", "long_factor"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.partial_rotary_factor == 1:
            object.__setattr__(self, "partial_rotary_factor", None)
        _fields.check(self)
        _check(self)

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
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(rope.keys() - known):
            raise ValueError(
                f"rope_parameters has {', '.join(unknown)}; zojax.models reads "
                f"{', '.join(sorted(known))}."
            )
        return cls(**rope)

    @classmethod
    def of_model(cls, settings: Mapping[str, Any], longest: int) -> Self:
        """The same, with what a type needs and a file may leave to `max_position_embeddings`."""
        rope = dict(settings)
        kind = rope.get("rope_type", rope.get("type"))
        reads = _SETTINGS[kind].needed if kind in list(_SETTINGS) else ()
        if kind == "dynamic" or (_LENGTH in reads and rope.get(_LENGTH) is None):
            rope[_LENGTH] = longest
        length = rope.get(_LENGTH)
        if kind in ("yarn", "longrope") and rope.get("factor") is None and _is_above_0(length):
            rope["factor"] = longest / length
        return cls.from_dict(rope)

    def to_dict(self) -> dict[str, Any]:
        """What is not None, for a `config.json`."""
        given = {name: x for name, x in dataclasses.asdict(self).items() if x is not None}
        if self.rope_type == "dynamic":
            given.pop(_LENGTH)  # transformers takes max_position_embeddings
        return given

    @property
    def reach(self) -> int:
        """Positions that a type made for longer sequences is meant to reach; 0 for the others."""
        extends = self.rope_type in ("dynamic", "yarn")
        return int(self.factor * self.original_max_position_embeddings) if extends else 0

    @property
    def magnitude(self) -> float:
        """The number m that cosines and sines are multiplied with."""
        if self.attention_factor is not None:
            return self.attention_factor
        if self.rope_type not in ("yarn", "longrope") or self.factor <= 1:
            return 1.0
        if self.rope_type == "longrope":
            return math.sqrt(1 + math.log(self.factor) / math.log(self._length))
        both = self.mscale and self.mscale_all_dim
        above, below = (self.mscale, self.mscale_all_dim) if both else (1.0, 0.0)
        grown = 0.1 * math.log(self.factor)
        return (above * grown + 1) / (below * grown + 1)

    def turned(self, width: int) -> int:
        """D of a head of this width."""
        return (
            width if self.partial_rotary_factor is None else int(width * self.partial_rotary_factor)
        )

    def frequencies(
        self, width: int, length: jax.Array | int | None = None
    ) -> np.ndarray | jax.Array:
        """f_j in radians a position.

        Args:
          width: of a head.
          length: T, integers of any shape, for dynamic and longrope; None for at most L.

        Returns:
          (D/2,), float32 rounded from float64; where T matters, (*length.shape, D/2), float32.
        """
        width = self.turned(width)
        plain = self.rope_theta ** -(np.arange(0, width, 2) / width)
        if self.rope_type == "default":
            return plain.astype(np.float32)
        if self.rope_type == "longrope":
            return self._in_sets(plain, length)
        if self.rope_type == "dynamic":
            return self._stretched(plain, length)
        slow, kept = plain / self.factor, self._kept(plain)
        return ((1 - kept) * slow + kept * plain).astype(np.float32)

    @property
    def _length(self) -> int:
        return self.original_max_position_embeddings

    def _kept(self, plain: np.ndarray) -> np.ndarray | float:
        """γ_j, with 0 for linear."""
        if self.rope_type == "linear":
            return 0.0
        if self.rope_type == "llama3":
            turns = self._length * plain / (2 * math.pi)
            low, high = self.low_freq_factor, self.high_freq_factor
            return np.clip((turns - low) / (high - low), 0, 1)
        planes = len(plain)
        fast, slow = (
            planes * math.log(self._length / (2 * math.pi * turns)) / math.log(self.rope_theta)
            for turns in (self.beta_fast or 32, self.beta_slow or 1)
        )
        if self.truncate in (None, True):
            fast, slow = math.floor(fast), math.ceil(slow)
        # The bounds are those of transformers, where the upper one counts entries, not planes.
        fast, slow = max(fast, 0), min(slow, 2 * planes - 1)
        slow = slow + 0.001 if slow == fast else slow
        return 1 - np.clip((np.arange(planes) - fast) / (slow - fast), 0, 1)

    def _in_sets(self, plain: np.ndarray, length) -> np.ndarray | jax.Array:
        short, long = (
            (plain / np.array(factors)).astype(np.float32)
            for factors in (self.short_factor, self.long_factor)
        )
        if length is None:
            return short
        return jnp.where(jnp.asarray(length)[..., None] > self._length, long, short)

    def _stretched(self, plain: np.ndarray, length) -> np.ndarray | jax.Array:
        if length is None:
            return plain.astype(np.float32)
        planes = np.arange(len(plain))
        powers = (-planes / max(len(plain) - 1, 1)).astype(np.float32)
        times = jnp.maximum(jnp.asarray(length, jnp.float32) / self._length, 1.0)
        grown = self.factor * times - (self.factor - 1)
        return plain.astype(np.float32) * grown[..., None] ** powers


def _check(rope: Rope) -> None:
    if rope.rope_type not in _SETTINGS:
        raise ValueError(
            f"rope_type is {rope.rope_type!r}; zojax.models has {', '.join(_SETTINGS)}."
        )
    needed, optional = _SETTINGS[rope.rope_type]
    read = ("rope_type", "rope_theta", "partial_rotary_factor", *needed, *optional)
    for name, value in dataclasses.asdict(rope).items():
        if name in ("rope_theta", *needed) and not _is_above_0(value):
            raise ValueError(
                f"rope_type {rope.rope_type!r} needs {name} above 0 in rope_parameters, "
                f"not {value!r}."
            )
        if name not in read and value is not None:
            raise ValueError(
                f"rope_type {rope.rope_type!r} has no use for {name} = {value!r} in "
                "rope_parameters; leave it out, or name the type that is meant."
            )
        if name in optional and value is not None and value < 0:
            raise ValueError(f"{name} must be at least 0, not {value!r}.")
    # Of these the logarithm is divided by.
    for name in {"yarn": ("rope_theta",), "longrope": (_LENGTH,)}.get(rope.rope_type, ()):
        if getattr(rope, name) <= 1:
            raise ValueError(
                f"rope_type {rope.rope_type!r} needs {name} above 1 in rope_parameters, not "
                f"{getattr(rope, name)!r}."
            )
    part = rope.partial_rotary_factor
    if part is not None and not 0 < part <= 1:
        raise ValueError(f"partial_rotary_factor must be above 0 and at most 1, not {part!r}.")
    if rope.rope_type == "llama3" and rope.low_freq_factor >= rope.high_freq_factor:
        raise ValueError(
            f"low_freq_factor = {rope.low_freq_factor} must be below high_freq_factor = "
            f"{rope.high_freq_factor}."
        )


def _is_above_0(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_above_0, value))
    return isinstance(value, (int, float)) and value > 0
