"""Questions with answers in free text, with the prompts of MeZO (arXiv:2305.17333, table 14)."""

from typing import Any

from experiments.tasks._columns import Row, inner, text, texts
from experiments.tasks._kinds import Generation
from experiments.tasks._metrics import f1
from experiments.tasks._task import Hub, Task


def _squad(row: Row) -> dict[str, Any]:
    question = text(row, "question").strip()
    return {**row, "question": question, "answers": texts(inner(row, "answers"), "text")}


def _drop(row: Row) -> dict[str, Any]:
    question = text(row, "question").strip()
    return {**row, "question": question, "answers": texts(inner(row, "answers_spans"), "spans")}


TASKS = {
    "squad": Task(
        Generation("Title: {title}\nContext: {context}\nQuestion: {question}\nAnswer: {option}"),
        Hub("rajpurkar/squad"),
        row=_squad,
        metric=f1,
    ),
    "drop": Task(
        Generation("Passage: {passage}\nQuestion: {question}\nAnswer: {option}"),
        Hub("ucinlp/drop"),
        row=_drop,
        metric=f1,
    ),
}
