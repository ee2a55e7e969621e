"""Kinds of tasks: how a row becomes an example, what is trained, what is scored.

All have the same attributes, so that a training loop need not know which one it has:

- `heads` are those that a model can answer with, the usual one first;
- `example(row)` makes an example of a row;
- `encode(processor, splits, max_length)` makes arrays of the examples of every split;
- `loss(model, batch)` is what training minimizes, shape ();
- `scores(model, batch)` ranks what may be predicted, shape (B, C);
- `mean_loss(scores, split)` is the loss of a whole split, from its scores.
"""

import dataclasses

from experiments.tasks import (
    _columns,
    _encoding,
    _image_encoding,
    _masked_encoding,
    _prompts,
    _scores,
)
from experiments.tasks import _template as templates
from experiments.tasks._example import Example, ImageExample, MaskedExample
from experiments.tasks._text_classification import TextClassification


@dataclasses.dataclass(frozen=True)
class Classification:
    """The same few options for every example, all of them scored.

    Attributes:
      template: text with fields of the data in braces, ending in "{option}".
      options: the words to choose from, in the order of the labels. A row may bring its own.
    """

    template: str
    options: tuple[str, ...]
    heads = ("language_model", "classifier")
    encode = staticmethod(_encoding.encode_candidates)
    loss = staticmethod(_scores.option_loss)
    scores = staticmethod(_scores.option_scores)
    mean_loss = staticmethod(_scores.mean_option_loss)

    def __post_init__(self):
        templates.check_template(self.template, "{option}")
        templates.check_options(self.options)

    def example(self, row: _columns.Row) -> Example:
        """Fills the template.

        Args:
          row: the fields of the template, strings; `label`, an index into the options or one of
            them; maybe `options`, which then replace the task's own.

        Raises:
          ValueError: if something is missing or of the wrong kind, naming it.
        """
        options = _columns.options(row) if "options" in row else self.options
        label = _columns.label(row, options)
        prompt, *candidates = templates.complete(self.template, row, options)
        return Example(prompt, tuple(candidates), label)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Options that differ between examples; the right one is trained, all are scored.

    Attributes:
      template: text with fields of the data in braces, ending in "{option}".
    """

    template: str
    heads = ("language_model",)
    loss = staticmethod(_scores.answer_loss)
    scores = staticmethod(_scores.option_scores)
    mean_loss = staticmethod(_scores.mean_answer_loss)

    def __post_init__(self):
        templates.check_template(self.template, "{option}")

    def example(self, row: _columns.Row) -> Example:
        """Fills the template.

        Args:
          row: the fields of the template; `options`; `label`; maybe `gold`, the indices of all
            options that count as right.
        """
        options = _columns.options(row)
        label = _columns.label(row, options)
        prompt, *candidates = templates.complete(self.template, row, options)
        return Example(prompt, tuple(candidates), label, tuple(row.get("gold", ())))

    def encode(self, tokenizer, splits, *, max_length):
        """As `encode_candidates`; batches hold the right candidate only."""
        encoded = _encoding.encode_candidates(tokenizer, splits, max_length=max_length)
        return {name: dataclasses.replace(split, gold_only=True) for name, split in encoded.items()}


@dataclasses.dataclass(frozen=True)
class Generation:
    """An answer in free text: trained by teacher forcing, judged by what the model writes.

    Attributes:
      template: text with fields of the data in braces, ending in "{option}", the answer.
      stop: ends an answer; training teaches it as the answer's last token.
      max_new_tokens: that an answer may have.
    """

    template: str
    stop: str = "\n"
    max_new_tokens: int = 50
    heads = ("language_model",)
    loss = staticmethod(_scores.answer_loss)
    scores = staticmethod(_scores.option_scores)
    mean_loss = staticmethod(_scores.mean_answer_loss)

    def __post_init__(self):
        templates.check_template(self.template, "{option}")
        if not self.stop or self.max_new_tokens < 1:
            raise ValueError(
                f"stop must hold a character and max_new_tokens be at least 1; got {self.stop!r} "
                f"and {self.max_new_tokens}"
            )

    def example(self, row: _columns.Row) -> Example:
        """Fills the template.

        Args:
          row: the fields of the template, and `answers`, of which the first is trained.
        """
        answers = _columns.texts(row, "answers")
        prompt, candidate = templates.complete(self.template, row, (answers[0] + self.stop,))
        return Example(prompt, (candidate,), 0, answers=answers)

    def encode(self, tokenizer, splits, *, max_length):
        """As `encode_candidates`, and prompts that leave room for an answer."""
        encoded = _encoding.encode_candidates(tokenizer, splits, max_length=max_length)
        return {
            name: dataclasses.replace(
                split,
                gold_only=True,
                prompts=_prompts.encode_prompts(
                    tokenizer, splits[name], max_length=max_length - self.max_new_tokens
                ),
            )
            for name, split in encoded.items()
        }

    def answer(self, text: str) -> str:
        """What stands before the stop in a text that was generated."""
        return text.split(self.stop, 1)[0].strip()


@dataclasses.dataclass(frozen=True)
class Masked:
    """A word to fill in, for models that read in both directions.

    Attributes:
      template: text with fields of the data in braces, and "{mask}".
      options: the words that may stand at the mask, in the order of the labels; each has to be
        one token behind a space.
      max_length: longer sequences are cut, whatever the model can read.
    """

    template: str
    options: tuple[str, ...]
    max_length: int = 128
    heads = ("masked_language_model", "classifier")
    loss = staticmethod(_scores.masked_loss)
    scores = staticmethod(_scores.masked_scores)
    mean_loss = staticmethod(_scores.mean_option_loss)

    def __post_init__(self):
        templates.check_template(self.template, "{mask}")
        templates.check_options(self.options)

    def example(self, row: _columns.Row) -> MaskedExample:
        """Fills the template; `label` of the row is an index into the options or one of them."""
        label = _columns.label(row, self.options)
        before, after = (templates.fill(part, row) for part in self.template.split("{mask}"))
        return MaskedExample(before.lstrip(), after.rstrip(), self.options, label)

    def encode(self, tokenizer, splits, *, max_length):
        """As `encode_masked`, no longer than this kind's own `max_length`."""
        longest = min(max_length, self.max_length)
        return _masked_encoding.encode_masked(tokenizer, splits, max_length=longest)


@dataclasses.dataclass(frozen=True)
class Images:
    """A picture to classify.

    Attributes:
      num_labels: classes; the model must have as many outputs, or more.
      pixels: the column of the picture: of PIL, encoded bytes, or nested lists of 0 … 255.
      label: the column of the class.
    """

    num_labels: int
    pixels: str = "image"
    label: str = "label"
    heads = ("classifier",)
    encode = staticmethod(_image_encoding.encode_images)
    loss = staticmethod(_scores.image_loss)
    scores = staticmethod(_scores.image_scores)
    mean_loss = staticmethod(_scores.mean_option_loss)

    def example(self, row: _columns.Row) -> ImageExample:
        """Reads a picture and its class."""
        label = _columns.label(row, tuple(map(str, range(self.num_labels))), self.label)
        return ImageExample(_image_encoding.to_pixels(_columns.column(row, self.pixels)), label)


Kind = Classification | Choice | Generation | Masked | TextClassification | Images
