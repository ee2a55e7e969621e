"""What a model puts on its last hidden states."""

from typing import Any, Literal, NamedTuple

from zojax.models import _fields, _files

Head = Literal["language_model", "masked_language_model", "classifier"]
# The class of `transformers` that wrote a checkpoint ends in what its head is.
_ENDINGS: dict[str, Head | None] = {
    "ForCausalLM": "language_model",
    "LMHeadModel": "language_model",
    "ForMaskedLM": "masked_language_model",
    "ForSequenceClassification": "classifier",
    "ForImageClassification": "classifier",
    "Model": None,
}


class Heads(NamedTuple):
    """What a checkpoint can answer with.

    Attributes:
      own: the head that it was saved with.
      possible: all that it can be loaded with, those of its family.
      labels: names of the outputs of a classifier of its own; empty if it has none, or no names.
    """

    own: Head | None
    possible: tuple[Head | None, ...]
    labels: tuple[str, ...]


def of_checkpoint(architectures: dict[Head | None, str], settings: dict[str, Any]) -> Head | None:
    """The head that `config.json` names; the family's first where it names none that exists here.

    Args:
      architectures: of the family, by head.
      settings: a parsed `config.json`.

    Raises:
      ValueError: if it names them in another way than by a list.
    """
    names = settings.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"architectures must be a list of names or null, not {_fields.shown(names)}."
        )
    for name in names:
        for ending, head in _ENDINGS.items():
            if name.endswith(ending) and head in architectures:
                return head
    return next(iter(architectures))


def check(architectures: dict[Head | None, str], head: Head | None) -> None:
    """Raises ValueError for a head that the family does not have."""
    if head not in architectures:
        raise ValueError(
            f"head {head!r} is none of this family's: {', '.join(map(repr, architectures))}; "
            f"the one in {_files.CONFIG} is taken if head is left out"
        )
