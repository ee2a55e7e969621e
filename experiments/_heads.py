"""Which head of a model answers: the one that is asked for, or what fits checkpoint and task."""

from collections.abc import Sequence
from typing import NamedTuple

from experiments import tasks
from zojax import models

HEADS = ("classifier", "language_model", "masked_language_model")
# What stands in a template for the words of a head.
_PLACES = {"{option}": "language_model", "{mask}": "masked_language_model"}


class Answers(NamedTuple):
    """What `tasks.load_task` is told of a model.

    Attributes:
      head: its head.
      options: what it chooses from; None: what the task says.
    """

    head: str
    options: tuple[str, ...] | None


def choose_head(
    source: str,
    task: str,
    *,
    head: str | None,
    template: str | None = None,
    options: Sequence[str] | None = None,
    allow_pickle: bool = False,
) -> Answers:
    """Returns the head that answers, and from which options.

    By default it is the head that the checkpoint was saved with, where the task takes it; else the
    first that the task takes and the family has. So a decoder answers questions in words as a
    language model; an encoder, which cannot, gets a classifier, unless there is a mask. A template
    of the user's that has a place for words asks for the head that gives them. A classifier that
    names its classes gives the options of the user's own data.

    Args:
      source: folder or Hugging Face id of a checkpoint.
      task: the name of a task.
      head: what the user asks for; None for the default.
      template: the user's, if there is one.
      options: the user's, if there are any.
      allow_pickle: whether the weights may be a pickle.

    Raises:
      ValueError: if the family has no head that does.
    """
    known, kind = (
        models.read_heads(source, allow_pickle=allow_pickle),
        tasks.kind_of(task, template),
    )
    of_template = tuple(head for place, head in _PLACES.items() if place in (template or ""))
    wanted = (head,) if head else of_template or kind.heads
    possible = [name for name in wanted if name in known.possible]
    if not possible:
        asking = "the template" if of_template else f"a task of the kind {kind.__name__.lower()}"
        has = " or ".join(name for name in known.possible if name is not None)
        raise ValueError(
            f"model {source!r} can have the head {has}, but {'--head' if head else asking} asks "
            f"for {' or '.join(wanted)}; choose another"
        )
    chosen = known.own if known.own in possible else possible[0]
    if chosen == "classifier" and not tasks.is_named(task):
        options = options or known.labels
    return Answers(chosen, tuple(options) if options else None)
