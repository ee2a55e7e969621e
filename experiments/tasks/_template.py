"""Templates: text with the fields of a row in braces, and one place for an option or a mask."""

import string

from experiments.tasks import _columns


def check_template(template: str, place: str) -> None:
    """Checks that a template can be read, and holds its place once.

    Args:
      template: text with fields in braces.
      place: "{option}", which must end it, or "{mask}", which may stand anywhere.

    Raises:
      ValueError: saying what is wrong.
    """
    check_readable(template)
    ends = place != "{option}" or template.endswith(place)
    if template.count(place) != 1 or not ends:
        where = "end in {option} and hold it once" if place == "{option}" else f"hold {place} once"
        raise ValueError(f"template must {where}; got {template!r}")


def check_readable(template: str) -> None:
    """Raises ValueError unless braces hold names of fields and nothing else."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"template {template!r} cannot be read: {error}") from None
    for _, name, form, conversion in parts:
        if name is not None and (form or conversion or not name or name.isdecimal()):
            raise ValueError(
                f"template {template!r} must have nothing but names of fields in braces; write "
                "{{ and }} for braces of the text"
            )
    _check_characters("template", template)


def check_options(options: tuple[str, ...]) -> None:
    """Raises ValueError unless there are two different options or more."""
    if len(options) < 2 or _columns.problem_of_options(options):
        raise ValueError(f"options must be at least two different words; got {options}")
    for option in options:
        _check_characters("options", option)


def _check_characters(name: str, text: str) -> None:
    """Refuses what a command line has for bytes that are not UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} {text!a} holds half a character, {text[error.start]!a}; write it as UTF-8"
        ) from None


def field_names(template: str) -> list[str]:
    """The fields that a template takes from a row."""
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    return [name for name in names if name not in ("option", "mask")]


def fill(template: str, row: _columns.Row) -> str:
    """The template, or a part of one, with the fields of a row.

    Raises:
      ValueError: if a field is missing or no text.
    """
    return template.format(**{name: _columns.text(row, name) for name in field_names(template)})


def complete(template: str, row: _columns.Row, options: tuple[str, ...]) -> tuple[str, ...]:
    """The text without an option, and with each of them.

    There are no spaces at the ends: with most tokenizers the space before a word belongs to the
    token of the word, so a prompt that ended in one would not be the beginning of its candidates.
    """
    start = fill(template.removesuffix("{option}"), row).lstrip()
    return tuple((start + option).rstrip(" ") for option in ("", *options))
