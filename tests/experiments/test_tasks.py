"""Tasks in words: templates, options, files."""

import json

import numpy as np

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
    write(path, [{"text": str(i), "label": i % 2} for i in range(50)])
    limits = {"num_train": 4, "num_dev": 3, "num_test": 2}
    _, first = load_task(str(path), **limits)
    _, second = load_task(str(path), **limits, data_seed=1)
    assert [len(examples) for examples in first.values()] == [4, 3, 2]
    assert first["train"] != second["train"]
