"""Files of rows: every format, and every way to write a label, gives the same examples."""

import csv
import gzip
import io
import json

import pytest

from experiments.tasks import TASKS, load_task

REVIEWS = TASKS["reviews"].kind
ROWS = [
    {"text": 'A "fine" film, if long.', "label": 1},
    {"text": "One line,\nand another;\tand é, 漢 and \u2028.", "label": 0},
    {"text": "None", "label": 0},  # readers that guess at types make something else of this
    {"text": "007", "label": 1},
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def cells(delimiter, **options):
    text = io.StringIO()
    writer = csv.DictWriter(text, ["text", "label"], delimiter=delimiter, **options)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue()


FILES = {
    "rows.jsonl": LINES,
    "rows.txt": LINES,
    "rows.json": json.dumps(ROWS, indent=2),
    "lines.json": LINES,
    "rows.csv": cells(","),
    "unix.csv": cells(",", lineterminator="\n", quoting=csv.QUOTE_ALL) + "\n\n",
    "rows.tsv": cells("\t"),
}
MARK = b"\xef\xbb\xbf"


def examples(path, content):
    path.write_bytes(content)
    task, splits = load_task(str(path))
    assert task.kind == REVIEWS
    return sorted((e.prompt, e.label) for split in splits.values() for e in split)


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_examples(name, tmp_path):
    """Packed or not, with the mark that Windows puts first or without."""
    expected = sorted((REVIEWS.example(row).prompt, row["label"]) for row in ROWS)
    content = FILES[name].encode()
    assert examples(tmp_path / name, content) == expected
    assert examples(tmp_path / name, MARK + content) == expected
    assert examples(tmp_path / f"{name}.gz", gzip.compress(content)) == expected


def test_a_folder_may_have_a_format_for_each_split(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,great\n")
    (tmp_path / "validation.json").write_text('[{"text": "c", "label": 1}]')
    (tmp_path / "test.jsonl.gz").write_bytes(gzip.compress(b'{"text": "d", "label": 0}'))
    _, splits = load_task(str(tmp_path))
    labels = {split: [example.label for example in found] for split, found in splits.items()}
    assert labels == {"train": [0, 1], "validation": [1], "test": [0]}


def test_a_row_of_several_lines_is_named_by_its_last(tmp_path):
    (tmp_path / "rows.csv").write_text('text,label\n"a\nb\nc",0\nx,9\n')
    with pytest.raises(ValueError, match=r"rows\.csv, line 5: .*got '9'"):
        load_task(str(tmp_path / "rows.csv"))


@pytest.mark.parametrize(
    ("label", "options", "index"),
    [
        (1, ("bad", "good"), 1),
        (1.0, ("bad", "good"), 1),
        ("1", ("bad", "good"), 1),
        (" 1 ", ("bad", "good"), 1),
        ("1.0", ("bad", "good"), 1),
        ("good", ("bad", "good"), 1),
        ("good ", ("bad", "good"), 1),
        (True, ("bad", "good"), 1),
        (False, ("bad", "good"), 0),
        ("TRUE", ("bad", "good"), 1),
        ("false", ("bad", "good"), 0),
        (True, ("Yes", "No"), 0),
        (False, ("Yes", "No"), 1),
        ("true", ("Yes", "No"), 0),
        (True, ("True", "False"), 0),
        ("False", ("True", "False"), 1),
        ("1", ("1", "2", "3"), 0),
        ("3", ("1", "2", "3"), 2),
        (1, ("0", "1"), 1),
    ],
)
def test_a_label_is_what_anyone_would_take_it_for(label, options, index, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text((json.dumps({"text": "x", "label": label}) + "\n") * 3)
    _, splits = load_task(str(path), options=options)
    assert splits["train"][0].label == index


def test_classes_are_drawn_by_words_and_texts_as_by_numbers(tmp_path):
    """Sixteen of every class: whatever the labels look like, the classes are the same rows."""
    drawn = []
    for form in (int, str, bool, ("terrible", "great").__getitem__):
        for split in ("train", "validation"):
            rows = [{"sentence": f"{split} {i}", "label": form(i % 2)} for i in range(12)]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (tmp_path / f"{split}.jsonl").write_text(text)
        _, splits = load_task(f"sst2_masked@{tmp_path}", num_train=3, num_dev=2, num_test=4)
        drawn.append(
            {name: sorted((e.before, e.label) for e in split) for name, split in splits.items()}
        )
    assert drawn == [drawn[0]] * 4
    assert [len(split) for split in drawn[0].values()] == [6, 4, 4]


def test_empty_texts_are_warned_about_with_the_first_place(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(("a", "", "b", " \n", "c"))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.warns(UserWarning, match=r'rows\.jsonl, line 2: field "text" is .* 2 of 5 rows'):
        load_task(str(path))


def test_one_answer_alone_is_warned_about(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "x", "label": 1}\n' * 10)
    with pytest.warns(UserWarning, match="answer to all 8 examples of the train split is 'great'"):
        load_task(str(path))
    with pytest.warns(UserWarning, match="answer to all 8 .* is 'b'"):
        load_task(str(path), template="{text} {mask}", options=("a", "b"))
