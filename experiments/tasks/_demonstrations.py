"""In-context learning: solved examples before the one that is asked."""

import dataclasses
from collections.abc import Sequence

from experiments.tasks._example import Example

_BETWEEN = "\n\n"


def with_demonstrations(
    demonstrations: Sequence[Example], examples: Sequence[Example]
) -> list[Example]:
    """Puts demonstrations, each with its right option, before every example.

    Blank lines stand between them, as in MeZO (arXiv:2305.17333, appendix E.4), which takes 32 of
    the train split. Options and answers stay as they are, so losses and scores do as well.

    Args:
      demonstrations: solved examples, the same ones for all; none leaves the examples unchanged.
      examples: what is asked.

    Raises:
      TypeError: if they are not text that an option ends.
    """
    for example in (*examples, *demonstrations):
        if not isinstance(example, Example):
            raise TypeError(
                f"demonstrations go with text that an option ends; got {type(example).__name__}"
            )
    solved = (example.candidates[example.label].strip() for example in demonstrations)
    start = "".join(text + _BETWEEN for text in solved)
    return [
        dataclasses.replace(
            example,
            prompt=start + example.prompt,
            candidates=tuple(start + candidate for candidate in example.candidates),
        )
        for example in examples
    ]
