"""SST-2 and SuperGLUE, asked in words, with the prompts of MeZO (arXiv:2305.17333, table 14).

Small data sets leave less for the validation split: CB and COPA 100 rows.
"""

from typing import Any

from experiments.tasks._columns import Row, column, text, texts
from experiments.tasks._kinds import Choice, Classification
from experiments.tasks._sampling import Sampling
from experiments.tasks._task import Hub, Task

_SUPERGLUE = "aps/super_glue"


def _sst2(row: Row) -> Row:
    return {**row, "sentence": text(row, "sentence").strip()}


def _boolq(row: Row) -> dict[str, Any]:
    """The question begins with a capital and ends in a question mark; true is option 0, Yes."""
    question = text(row, "question")
    question = question if question.endswith("?") else question + "?"
    answer = column(row, "answer")
    if not isinstance(answer, bool):
        raise ValueError(f'field "answer" must be true or false; got {answer!r}')
    return {**row, "question": question[:1].upper() + question[1:], "label": int(not answer)}


def _wsc(row: Row) -> Row:
    return {**row, "span2_text": text(row, "span2_text").lower()}


def _copa(row: Row) -> dict[str, Any]:
    """The premise goes on in a choice: "It rained. / The street is wet." → "It rained so the …"."""
    conjunctions = {"effect": "so", "cause": "because"}
    question = text(row, "question")
    if question not in conjunctions:
        raise ValueError(f'field "question" must be "effect" or "cause"; got {question!r}')
    return {
        "premise": text(row, "premise").rstrip().removesuffix("."),
        "conjunction": conjunctions[question],
        "options": [_go_on(text(row, name)) for name in ("choice1", "choice2")],
        "label": column(row, "label"),
    }


def _go_on(sentence: str) -> str:
    """The sentence as a clause: its first word in lower case, unless that is I."""
    first, *others = sentence.split(" ")
    return " ".join([first if first == "I" else first.lower(), *others])


def _record(row: Row) -> dict[str, Any]:
    """The options are the query with every entity in its gap; several may be right."""
    entities, answers = texts(row, "entities"), texts(row, "answers")
    query = text(row, "query")
    right = [answer for answer in answers if answer in entities]
    if not right:
        raise ValueError(f'none of the "answers" {answers} is among the "entities" {entities}')
    return {
        "passage": text(row, "passage").replace("@highlight\n", "- "),
        "options": [query.replace("@placeholder", entity) for entity in entities],
        "label": entities.index(right[0]),
        "gold": [index for index, entity in enumerate(entities) if entity in right],
    }


TASKS = {
    "sst2": Task(
        Classification("{sentence} It was {option}", ("terrible", "great")),
        Hub("nyu-mll/glue", "sst2"),
        row=_sst2,
    ),
    "rte": Task(
        Classification(
            '{premise}\nDoes this mean that "{hypothesis}" is true? Yes or No?\n{option}',
            ("Yes", "No"),
        ),
        Hub(_SUPERGLUE, "rte"),
    ),
    "cb": Task(
        Classification(
            'Suppose {premise} Can we infer that "{hypothesis}"? Yes, No, or Maybe?\n{option}',
            ("Yes", "No", "Maybe"),
        ),
        Hub(_SUPERGLUE, "cb"),
        Sampling(num_dev=100),
    ),
    "boolq": Task(
        Classification("{passage} {question}\n{option}", ("Yes", "No")),
        Hub("google/boolq"),
        row=_boolq,
    ),
    "wsc": Task(
        Classification(
            '{text}\nIn the previous sentence, does the pronoun "{span2_text}" refer to '
            "{span1_text}? Yes or No?\n{option}",
            ("No", "Yes"),
        ),
        Hub(_SUPERGLUE, "wsc.fixed"),
        row=_wsc,
    ),
    "wic": Task(
        Classification(
            'Does the word "{word}" have the same meaning in these two sentences? Yes, No?\n'
            "{sentence1}\n{sentence2}\n{option}",
            ("No", "Yes"),
        ),
        Hub(_SUPERGLUE, "wic"),
    ),
    "multirc": Task(
        Classification(
            '{paragraph}\nQuestion: {question}\nI found this answer "{answer}". Is that correct? '
            "Yes or No?\n{option}",
            ("No", "Yes"),
        ),
        Hub(_SUPERGLUE, "multirc"),
    ),
    "copa": Task(
        Choice("{premise} {conjunction} {option}"),
        Hub(_SUPERGLUE, "copa"),
        Sampling(num_dev=100),
        row=_copa,
    ),
    "record": Task(
        Choice("{passage}\n- {option}"),
        Hub(_SUPERGLUE, "record"),
        row=_record,
    ),
}
