"""Tasks for masked language models, with the prompts of MeZO (arXiv:2305.17333, table 13).

The prompts come from Gao et al., "Making Pre-trained Language Models Better Few-shot Learners",
arXiv:2012.15723. Label words stand in the order of the labels on the hub, which for TREC is not
the papers'.
"""

from collections.abc import Callable
from typing import Any

from experiments.tasks._columns import Row, column, strip_texts, text
from experiments.tasks._kinds import Masked
from experiments.tasks._sampling import PerClass
from experiments.tasks._task import Hub, Task

_GLUE = "nyu-mll/glue"
_PAIR = "{first}? {mask}, {second}"
_ENTAILMENT = ("Yes", "Maybe", "No")


def _trec(row: Row) -> dict[str, Any]:
    return {"text": text(row, "text").strip(), "label": column(row, "coarse_label")}


def _pair(first: str, second: str) -> Callable[[Row], dict[str, Any]]:
    """Joins two sentences: the first loses its last character, the second its capital.

    The last character is taken to be a full stop, in whose place the template has "?". It goes
    whatever it is, as in the papers.
    """

    def row(row: Row) -> dict[str, Any]:
        premise, hypothesis = text(row, first).strip(), text(row, second).strip()
        return {
            **row,
            "first": premise[:-1],
            "second": hypothesis[:1].lower() + hypothesis[1:],
            "label": column(row, "label"),
        }

    return row


def _classified(first: str, second: str) -> str:
    """For a classifier the sentences of a pair stay as they are."""
    return f"{{{first}}}{{sep}}{{{second}}}"


TASKS = {
    "sst2_masked": Task(
        Masked("{sentence} It was {mask}.", ("terrible", "great")),
        Hub(_GLUE, "sst2"),
        PerClass(),
        row=strip_texts,
    ),
    "sst5_masked": Task(
        Masked("{text} It was {mask}.", ("terrible", "bad", "okay", "good", "great")),
        Hub("SetFit/sst5", test="test"),
        PerClass(),
        row=strip_texts,
    ),
    "trec_masked": Task(
        Masked(
            "{mask}: {text}",
            ("Expression", "Entity", "Description", "Human", "Location", "Number"),
        ),
        # The main branch holds a script, and `datasets` runs none.
        Hub("CogComp/trec", test="test", revision="refs/convert/parquet"),
        PerClass(label="coarse_label"),
        row=_trec,
    ),
    "mnli_masked": Task(
        Masked(_PAIR, _ENTAILMENT, max_length=256),
        Hub(_GLUE, "mnli", test="validation_matched"),
        PerClass(),
        row=_pair("premise", "hypothesis"),
        texts=_classified("premise", "hypothesis"),
    ),
    "snli_masked": Task(
        Masked(_PAIR, _ENTAILMENT, max_length=256),
        Hub("stanfordnlp/snli"),
        PerClass(),
        row=_pair("premise", "hypothesis"),
        texts=_classified("premise", "hypothesis"),
    ),
    "rte_masked": Task(
        Masked(_PAIR, ("Yes", "No"), max_length=256),
        Hub(_GLUE, "rte"),
        PerClass(),
        row=_pair("sentence1", "sentence2"),
        texts=_classified("sentence1", "sentence2"),
    ),
}
