"""What each task asks: prompts, options and labels by hand, from rows as the hub has them."""

import pytest

from experiments.tasks import TASKS


def example(name, row):
    return TASKS[name].example(row)


CLASSIFICATION = {
    "sst2": (
        {"idx": 0, "sentence": "a fine film . ", "label": 1},
        "a fine film . It was",
        (" terrible", " great"),
        1,
    ),
    "rte": (
        {"premise": "It rains.", "hypothesis": "It is wet.", "idx": 3, "label": 0},
        'It rains.\nDoes this mean that "It is wet." is true? Yes or No?\n',
        ("Yes", "No"),
        0,
    ),
    "cb": (
        {"premise": "He knew it rained.", "hypothesis": "it rained", "idx": 3, "label": 2},
        'Suppose He knew it rained. Can we infer that "it rained"? Yes, No, or Maybe?\n',
        ("Yes", "No", "Maybe"),
        2,
    ),
    "boolq": (
        {"question": "is water wet", "answer": True, "passage": "Water is wet."},
        "Water is wet. Is water wet?\n",
        ("Yes", "No"),
        0,
    ),
    "wsc": (
        {
            "text": "Ann told Eve that She won.",
            "span1_index": 0,
            "span2_index": 4,
            "span1_text": "Ann",
            "span2_text": "She",
            "idx": 0,
            "label": 1,
        },
        "Ann told Eve that She won.\n"
        'In the previous sentence, does the pronoun "she" refer to Ann? Yes or No?\n',
        ("No", "Yes"),
        1,
    ),
    "wic": (
        {"word": "bat", "sentence1": "A bat flew.", "sentence2": "He has a bat.", "label": 0},
        'Does the word "bat" have the same meaning in these two sentences? Yes, No?\n'
        "A bat flew.\nHe has a bat.\n",
        ("No", "Yes"),
        0,
    ),
    "multirc": (
        {"paragraph": "Al ran.", "question": "Who ran?", "answer": "Al", "idx": {}, "label": 1},
        'Al ran.\nQuestion: Who ran?\nI found this answer "Al". Is that correct? Yes or No?\n',
        ("No", "Yes"),
        1,
    ),
}


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_classification_asks_in_words(name):
    row, prompt, options, label = CLASSIFICATION[name]
    made = example(name, row)
    assert made.prompt == prompt
    assert made.candidates == tuple(prompt + option for option in options)
    assert made.label == label


def test_boolq_keeps_a_question_mark_and_turns_false_into_no():
    made = example("boolq", {"question": "Is it?", "answer": False, "passage": "It is not."})
    assert made.prompt == "It is not. Is it?\n"
    assert made.candidates[made.label] == "It is not. Is it?\nNo"


COPA = {"choice1": "It broke.", "choice2": "I was sad.", "label": 1, "idx": 0}


def test_copa_goes_on_in_lower_case_but_for_i():
    made = example("copa", {**COPA, "premise": "I dropped the cup. ", "question": "effect"})
    assert made.prompt == "I dropped the cup so"
    assert made.candidates == (
        "I dropped the cup so it broke.",
        "I dropped the cup so I was sad.",
    )
    assert made.label == 1


def test_copa_asks_for_causes_too():
    made = example("copa", {**COPA, "premise": "I wept!", "question": "cause"})
    assert made.candidates[0] == "I wept! because it broke."


RECORD = {
    "passage": "Bo Li won in Rom.\n@highlight\nLi is fast\n@highlight\nRom cheered",
    "query": "A medal for @placeholder and a song",
    "entities": ["Rom", "Bo Li", "Li"],
    "answers": ["Li", "Bo Li"],
    "idx": {"passage": 0, "query": 0},
}


def test_record_fills_the_gap_with_every_entity_and_has_several_right_ones():
    made = example("record", RECORD)
    assert made.prompt == "Bo Li won in Rom.\n- Li is fast\n- Rom cheered\n-"
    assert made.candidates[1] == made.prompt + " A medal for Bo Li and a song"
    assert len(made.candidates) == 3
    assert made.label == 2
    assert made.gold == (1, 2)


def test_squad_asks_for_the_first_answer_on_a_line_of_its_own():
    row = {
        "id": "0",
        "title": "Tea",
        "context": "Tea grows in China.",
        "question": " Where does tea grow?",
        "answers": {"text": ["China", "in China"], "answer_start": [13, 10]},
    }
    made = example("squad", row)
    assert made.prompt == (
        "Title: Tea\nContext: Tea grows in China.\nQuestion: Where does tea grow?\nAnswer:"
    )
    assert made.candidates == (made.prompt + " China\n",)
    assert made.answers == ("China", "in China")


def test_drop_has_a_passage_without_a_title():
    row = {
        "passage": "Ada won 3 games and lost 2.",
        "question": "How many games?",
        "answers_spans": {"spans": ["5"], "types": ["number"]},
    }
    made = example("drop", row)
    assert made.prompt == "Passage: Ada won 3 games and lost 2.\nQuestion: How many games?\nAnswer:"
    assert made.candidates == (made.prompt + " 5\n",)


PAIR = {"premise": "It rains.", "hypothesis": "The street is wet.", "label": 1}
MASKED = {
    "sst2_masked": (
        {"sentence": "a fine film . ", "label": 1},
        "a fine film . It was [].",
        "great",
    ),
    "sst5_masked": ({"text": "so so", "label": 2, "label_text": ""}, "so so It was [].", "okay"),
    "trec_masked": (
        {"text": "Why is it dark ?", "coarse_label": 2, "fine_label": 9},
        "[]: Why is it dark ?",
        "Description",
    ),
    "mnli_masked": (PAIR, "It rains? [], the street is wet.", "Maybe"),
    "snli_masked": (PAIR, "It rains? [], the street is wet.", "Maybe"),
    "rte_masked": (
        {"sentence1": "It rains", "sentence2": "I sing.", "label": 1},
        "It rain? [], i sing.",
        "No",
    ),
}


@pytest.mark.parametrize("name", MASKED)
def test_masked_tasks_leave_a_gap_for_a_word(name):
    row, text, word = MASKED[name]
    made = example(name, row)
    assert f"{made.before}[]{made.after}" == text
    assert made.words[made.label] == word


def test_label_words_stand_in_the_order_of_the_labels():
    assert TASKS["mnli_masked"].kind.options == ("Yes", "Maybe", "No")
    assert TASKS["sst5_masked"].kind.options == ("terrible", "bad", "okay", "good", "great")
    assert TASKS["trec_masked"].kind.options[0] == "Expression"  # abbreviations come first


BAD_ROWS = [
    ("rte", {"premise": "x", "label": 0}, 'field "hypothesis" is missing'),
    ("rte", {"premise": 1, "hypothesis": "x", "label": 0}, '"premise" must be a string; got 1'),
    ("rte", {"premise": "x", "hypothesis": "x", "label": -1}, "got -1"),
    ("boolq", {"question": "q", "passage": "p", "answer": 1}, '"answer" must be true or false'),
    ("copa", {**COPA, "premise": "x", "question": "why"}, 'must be "effect" or "cause"; got'),
    ("record", {**RECORD, "answers": ["Eve"]}, r"none of the \"answers\" .*'Eve'"),
    ("record", {**RECORD, "entities": ["Li"]}, '"options" must be a list of at least two'),
    ("squad", {"question": "q", "answers": ["x"]}, '"answers" must be an object'),
    ("squad", {"question": "q", "answers": {"text": []}}, '"text" must be a list of strings'),
    ("trec_masked", {"text": "x"}, 'field "coarse_label" is missing'),
]


@pytest.mark.parametrize(("name", "row", "message"), BAD_ROWS)
def test_rows_with_other_columns_are_refused(name, row, message):
    with pytest.raises(ValueError, match=message):
        example(name, row)
