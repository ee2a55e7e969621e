"""Tasks in words: templates, options, files."""

import json

import numpy as np
import pytest

from experiments.tasks import TASKS, Classification, Masked, accuracy, load_task

ENTAILMENT = Classification(
    template='{premise}\nDoes this mean that "{hypothesis}" is true? Yes or No?\n{option}',
    options=("Yes", "No"),
)


def test_the_prompt_of_a_review_ends_before_the_space_of_the_option():
    example = TASKS["reviews"].example({"text": " A {fine} film. ", "label": 1})
    assert example.prompt == "A {fine} film. It was"
    assert example.candidates == (
        "A {fine} film. It was terrible",
        "A {fine} film. It was great",
    )
    assert example.label == 1


def test_a_template_may_have_several_fields_and_lines():
    record = {"premise": "It rains.", "hypothesis": "It is wet.", "label": "No"}
    example = ENTAILMENT.example(record)
    assert example.prompt == 'It rains.\nDoes this mean that "It is wet." is true? Yes or No?\n'
    assert example.candidates[0] == example.prompt + "Yes"
    assert example.label == 1


def test_a_line_may_bring_its_own_options():
    record = {"text": "Soup:", "options": ["hot", "cold", "salty"], "label": "salty"}
    example = TASKS["reviews"].example(record)
    assert example.candidates[2] == "Soup: It was salty"
    assert example.label == 2


def test_accuracy_is_the_share_of_hits():
    assert accuracy(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1])) == 0.5


@pytest.mark.parametrize(
    ("template", "options", "message"),
    [
        ("{text} It was", ("bad", "good"), "template must end in {option}"),
        ("{option} or {option}", ("bad", "good"), "template must end in {option} and hold it once"),
        ("{text {option}", ("bad", "good"), "template .* cannot be read"),
        ("{text} {option}", ("bad",), "options must be at least two different words"),
        ("{text} {option}", ("bad", "bad"), "options must be at least two different words"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(template, options, message):
    with pytest.raises(ValueError, match=message):
        Classification(template, options)


BAD_LINES = {
    '{"text": "x", "label": 0': "not JSON",
    "[1, 2]": "not a JSON object",
    '{"label": 0}': 'field "text" is missing; the task needs it',
    '{"text": 3, "label": 0}': 'field "text" must be a string; got 3',
    '{"text": "x"}': 'field "label" is missing',
    '{"text": "x", "label": 2}': r'"label" must be one of the options .* from 0 to 1; got 2',
    '{"text": "x", "label": -1}': "got -1",
    '{"text": "x", "label": true}': "got True",
    '{"text": "x", "label": "awful"}': r"\['terrible', 'great'\] .* got 'awful'",
    '{"text": "x", "label": 0, "options": "ab"}': '"options" must be a list',
}


@pytest.mark.parametrize(("line", "message"), BAD_LINES.items())
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, line, message):
    path = tmp_path / "some.jsonl"
    path.write_text('{"text": "x", "label": 0}\n\n' + line + "\n")
    with pytest.raises(ValueError, match=r"some\.jsonl, line 3: .*" + message):
        load_task(str(path))


def test_text_in_another_encoding_is_named_with_its_line(tmp_path):
    (tmp_path / "some.jsonl").write_bytes('{"text": "é", "label": 0}'.encode("latin-1"))
    with pytest.raises(ValueError, match="line 1: not UTF-8"):
        load_task(str(tmp_path / "some.jsonl"))


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_folder_has_three_splits(tmp_path):
    for size, split in enumerate(("train", "validation", "test"), start=1):
        write(tmp_path / f"{split}.jsonl", [{"text": split, "label": 0}] * size)
    task, splits = load_task(str(tmp_path), template="So {text}: {option}", options=["no", "yes"])
    assert task.kind == Classification("So {text}: {option}", ("no", "yes"))
    assert {split: len(examples) for split, examples in splits.items()} == {
        "train": 1,
        "validation": 2,
        "test": 3,
    }
    assert splits["test"][0].candidates == ("So test: no", "So test: yes")


def test_one_file_is_split_always_in_the_same_way(tmp_path):
    path = tmp_path / "all.jsonl"
    write(path, [{"text": str(i), "label": i % 2} for i in range(25)])
    (_, first), (_, second) = load_task(str(path)), load_task(str(path))
    assert first == second
    assert [len(first[split]) for split in ("train", "validation", "test")] == [21, 2, 2]
    assert len({example.prompt for examples in first.values() for example in examples}) == 25


def test_what_cannot_be_a_task_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"task 'imdb' is unknown: neither one of \['boolq', .*'reviews'"
    ):
        load_task("imdb")
    with pytest.raises(ValueError, match=r"train\.jsonl is missing"):
        load_task(str(tmp_path))
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="holds no examples"):
        load_task(str(tmp_path / "empty.jsonl"))
    write(tmp_path / "two.jsonl", [{"text": "x", "label": 0}] * 2)
    with pytest.raises(ValueError, match="holds 2 examples; at least 3 are needed"):
        load_task(str(tmp_path / "two.jsonl"))


def test_lines_may_have_different_numbers_of_options(tmp_path):
    path = tmp_path / "uneven.jsonl"
    write(
        path, [{"text": "x", "label": 0, "options": list(words)} for words in ("ab", "abc", "ab")]
    )
    _, splits = load_task(str(path))
    counts = [len(example.candidates) for examples in splits.values() for example in examples]
    assert sorted(counts) == [2, 2, 3]


def test_a_template_with_a_mask_makes_a_file_a_task_for_masked_models(tmp_path):
    path = tmp_path / "all.jsonl"
    write(path, [{"text": str(i), "label": "good"} for i in range(3)])
    task, splits = load_task(str(path), template="{text} is {mask}!", options=["bad", "good"])
    assert isinstance(task.kind, Masked)
    (example,) = splits["test"]
    assert (example.before.split()[1], example.after, example.label) == ("is", "!", 1)


def test_limits_take_fewer_examples_and_a_seed_takes_others(tmp_path):
    path = tmp_path / "all.jsonl"
    write(path, [{"text": str(i), "label": 0} for i in range(50)])
    limits = {"num_train": 4, "num_dev": 3, "num_test": 2}
    _, first = load_task(str(path), **limits)
    _, second = load_task(str(path), **limits, data_seed=1)
    assert [len(examples) for examples in first.values()] == [4, 3, 2]
    assert first["train"] != second["train"]
    with pytest.raises(ValueError, match="num_dev must be at least 1; got 0"):
        load_task(str(path), num_dev=0)
    with pytest.raises(ValueError, match="data_seed must lie between 0 and"):
        load_task(str(path), data_seed=-1)
