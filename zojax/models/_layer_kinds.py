"""What differs between the layers of a stack besides their weights."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from zojax.models import _fields
from zojax.models._rope import Rope

FULL, SLIDING = "full_attention", "sliding_attention"


class LayerKind(NamedTuple):
    """How far a layer sees, and how its queries and keys turn.

    Attributes:
      window: how many tokens a token sees, itself included; None for all.
      rope: how fast the planes of the heads turn; None for not at all.
    """

    window: int | None = None
    rope: Rope | None = None


def ropes(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`rope_parameters` of layers that see all, and of those with a window.

    Args:
      settings: of a `config.json`, which has both kinds by name, or the first alone.
    """
    given = _fields.mapping(settings, "rope_parameters")
    if not given.keys() & {FULL, SLIDING}:
        return given, {}
    return _fields.mapping(given, FULL), _fields.mapping(given, SLIDING)


def plain_theta(sliding: Mapping[str, Any], usual: float) -> float:
    """θ of layers with a window, which turn plainly, by their `rope_parameters`.

    Raises:
      ValueError: if they do not.
    """
    rope = Rope.from_dict({"rope_theta": usual} | dict(sliding))
    if rope != Rope(rope_theta=rope.rope_theta):
        raise ValueError(
            f"rope_parameters of {SLIDING} have rope_type {rope.rope_type!r}; zojax.models scales "
            f"those of {FULL} only."
        )
    return rope.rope_theta
