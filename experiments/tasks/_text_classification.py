"""Texts, or pairs of texts, for a model with a classifier on top.

A task asked in words becomes one of these by the fields of its template, in their order: a single
one is the text; two are a pair, which the tokenizer joins as its model was trained to read pairs;
of more, the whole prompt is the text, without an option.
"""

import dataclasses

from experiments.tasks import _columns, _scores, _text_encoding
from experiments.tasks import _template as templates
from experiments.tasks._example import TextExample

_BETWEEN = "{sep}"
_PLACES = ("{option}", "{mask}")


@dataclasses.dataclass(frozen=True)
class TextClassification:
    """A text to classify, or a pair.

    Attributes:
      template: text with fields of the data in braces; what stands behind a "{sep}" is the second
        text of a pair.
      options: names of the classes, in the order of the labels; empty until they are known.
    """

    template: str
    options: tuple[str, ...] = ()
    heads = ("classifier",)
    encode = staticmethod(_text_encoding.encode_texts)
    loss = staticmethod(_scores.text_loss)
    scores = staticmethod(_scores.text_scores)
    mean_loss = staticmethod(_scores.mean_option_loss)

    def __post_init__(self):
        templates.check_readable(self.template)
        names = templates.field_names(self.template.replace(_BETWEEN, ""))
        place = next((place for place in _PLACES if place in self.template), None)
        if place or not names or self.template.count(_BETWEEN) > 1:
            raise ValueError(
                "template must hold fields of the data, such as '{text}' or "
                f"'{{premise}}{_BETWEEN}{{hypothesis}}', where head classifier is given"
                + (f", and no {place}" if place else "")
                + f"; got {self.template!r}"
            )
        if self.options:
            templates.check_options(self.options)

    def example(self, row: _columns.Row) -> TextExample:
        """Fills the template; `label` of the row is an index into the options or one of them."""
        if "options" in row:
            raise ValueError('"options" of a row do not go with head classifier; leave them out')
        label = _columns.label(row, self.options)
        texts = (templates.fill(part, row).strip() for part in self.template.split(_BETWEEN))
        return TextExample(tuple(texts), label)


def find_options(rows: list[_columns.Row]) -> tuple[str, ...]:
    """The names of the classes in the order of their labels, from the labels of all rows.

    Numbers have to be 0, 1, 2, …, and get the names that transformers gives; words are sorted.

    Raises:
      ValueError: if labels are missing or anything else, or all the same.
    """
    labels = [_columns.column(row, "label") for row in rows]
    words = [label.strip() if isinstance(label, str) else label for label in labels]
    numbers = [int(w) if isinstance(w, bool) else _columns.whole_number(w) for w in words]
    are_words = all(isinstance(word, str) for word in words)
    if not are_words and None in numbers:
        raise ValueError('field "label" must be a number in all rows, or a word in all rows')
    found = sorted(set(words if None in numbers else numbers))
    if len(found) < 2:
        raise ValueError(f"all rows have the label {found[0]!r}; there is nothing to learn")
    if None in numbers:
        return tuple(found)
    if found != list(range(len(found))):
        raise ValueError(
            f"labels are {_listed(found)}, but numbers have to be 0, 1, 2 and so on; write words "
            "in their place, or name the classes with --options"
        )
    return tuple(f"LABEL_{label}" for label in found)


def texts_of(template: str) -> str:
    """The template for a classifier, made of one that has a place for an option or a mask."""
    fields = [f"{{{name}}}" for name in dict.fromkeys(templates.field_names(template))]
    if len(fields) <= 2:
        return _BETWEEN.join(fields)
    for place in _PLACES:
        template = template.replace(place, "")
    return template


def _listed(labels: list[int]) -> str:
    return ", ".join(map(str, labels[:5])) + (", …" if len(labels) > 5 else "")
