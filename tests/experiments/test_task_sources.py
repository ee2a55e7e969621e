"""Where rows come from and which are drawn: the hub, folders, files, samples."""

import dataclasses
import json
import sys
import types

import numpy as np
import pytest

from experiments.tasks import TASKS, Hub, PerClass, Sampling, describe, load_task

NAMED = [name for name, task in TASKS.items() if isinstance(task.source, Hub)]


def rows(size, **columns):
    return [{"number": i, **columns} for i in range(size)]


def numbers(split):
    return [row["number"] for row in split]


def test_sampling_takes_the_last_of_the_drawn_rows_for_validation():
    drawn = Sampling(num_train=5, num_dev=3, num_test=4).draw(rows(20), rows(9))
    order = np.random.RandomState(0).permutation(20)
    assert numbers(drawn["train"]) == order[:5].tolist()
    assert numbers(drawn["validation"]) == order[5:8].tolist()
    assert numbers(drawn["test"]) == np.random.RandomState(0).permutation(9)[:4].tolist()


def test_of_few_rows_validation_gets_its_share_first():
    """WSC: 554 rows with 500 for validation leave 54 to train on; the test split is whole."""
    drawn = TASKS["wsc"].sampling.draw(rows(554), rows(104))
    assert [len(drawn[split]) for split in ("train", "validation", "test")] == [54, 500, 104]
    drawn = TASKS["cb"].sampling.draw(rows(250), rows(56))
    assert [len(drawn[split]) for split in ("train", "validation", "test")] == [150, 100, 56]


def test_per_class_draws_as_many_of_each_and_leaves_out_what_has_no_label():
    labels = [0, 1, -1, 2] * 10
    data = [{"number": i, "label": label} for i, label in enumerate(labels)]
    drawn = PerClass(num_train=3, num_dev=2, num_test=100, seed=21).draw(data, data)
    assert np.bincount([row["label"] for row in drawn["train"]]).tolist() == [3, 3, 3]
    assert np.bincount([row["label"] for row in drawn["validation"]]).tolist() == [2, 2, 2]
    assert sorted(numbers(drawn["test"])) == [i for i in range(40) if labels[i] >= 0]
    assert not set(numbers(drawn["train"])) & set(numbers(drawn["validation"]))
    assert drawn != PerClass(num_train=3, num_dev=2, num_test=100, seed=42).draw(data, data)


def test_a_data_set_is_drawn_from_like_a_list():
    datasets = pytest.importorskip("datasets")
    data = [{"number": i, "label": i % 3 - 1} for i in range(30)]
    for law in (Sampling(8, 4, 5), PerClass(4, 2, 5)):
        assert law.draw(datasets.Dataset.from_list(data), data) == law.draw(data, data)


def test_per_class_needs_the_label():
    with pytest.raises(ValueError, match='field "label" is missing'):
        PerClass().draw(rows(3), rows(3))


@pytest.fixture
def hub(monkeypatch):
    """In place of `datasets`: remembers what was asked for, and has many rows of SST-2."""
    calls = []

    def load_dataset(path, name, *, split, revision):
        calls.append((path, name, split, revision))
        return [{"sentence": f"{split} {i} ", "label": i % 2, "idx": i} for i in range(2000)]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_a_name_alone_reads_the_hub_and_draws_as_the_paper(hub):
    _, splits = load_task("sst2")
    assert hub == [
        ("nyu-mll/glue", "sst2", "train", None),
        ("nyu-mll/glue", "sst2", "validation", None),
    ]
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 1000,
        "validation": 500,
        "test": 1000,
    }
    assert splits["test"][0].prompt.startswith("validation ")


def test_limits_and_seed_replace_those_of_the_task(hub):
    _, splits = load_task("sst2", num_train=7, num_dev=3, num_test=2, data_seed=5)
    order = np.random.RandomState(5).permutation(2000)
    assert [len(split) for split in splits.values()] == [7, 3, 2]
    assert splits["train"][0].prompt == f"train {order[0]} It was"
    _, splits = load_task("sst2_masked", num_train=2)
    assert [len(split) for split in splits.values()] == [4, 4, 1000]


def test_a_row_of_the_hub_that_does_not_fit_is_named_with_its_split(hub):
    with pytest.raises(ValueError, match=r"task 'rte', train split: field \"premise\" is missing"):
        load_task("rte")


def test_a_hub_out_of_reach_is_told_with_what_to_do(monkeypatch):
    def load_dataset(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(ValueError, match=r"nyu-mll/glue/rte cannot be read .*no route.*@FOLDER"):
        load_task("rte_masked")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match="google/boolq needs datasets; install it with pip"):
        load_task("boolq")


def test_sources_that_hold_a_script_are_read_from_their_converted_branch():
    assert TASKS["trec_masked"].source.revision == "refs/convert/parquet"
    assert {name for name in NAMED if TASKS[name].source.revision} == {"trec_masked"}


@pytest.mark.parametrize("name", NAMED)
def test_every_task_has_a_sample_that_makes_examples(name):
    task, splits = load_task(f"{name}@sample")
    assert all(splits[split] for split in ("train", "validation", "test"))
    labels = {example.label for split in splits.values() for example in split}
    # Choices and classes vary; the one answer of a question is always the right one.
    assert len(labels) > 1 or name in ("squad", "drop")
    assert task == TASKS[name]


def sample(split):
    return [{"sentence": f"{split} {i}", "label": i % 2} for i in range(6)]


def test_a_folder_of_json_lines_replaces_the_hub(tmp_path):
    for split in ("train", "validation"):
        text = "".join(json.dumps(row) + "\n" for row in sample(split))
        (tmp_path / f"{split}.jsonl").write_text(text)
    _, splits = load_task(f"sst2@{tmp_path}", num_train=4, num_dev=2)
    assert [len(split) for split in splits.values()] == [4, 2, 6]
    assert {example.prompt.split()[0] for example in splits["test"]} == {"validation"}
    _, splits = load_task(f"sst2@{tmp_path / 'train.jsonl'}")
    assert [len(split) for split in splits.values()] == [4, 1, 1]


def test_parquet_is_read_like_json_lines(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("datasets")
    for split in ("train", "validation"):
        pandas.DataFrame(sample(split)).to_parquet(tmp_path / f"{split}.parquet")
    _, splits = load_task(f"sst2@{tmp_path}", num_train=4, num_dev=2)
    assert [len(split) for split in splits.values()] == [4, 2, 6]
    pandas.DataFrame([{"text": "x"}]).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match=r"train\.parquet, row 1: field \"sentence\" is missing"):
        load_task(f"sst2@{tmp_path}", num_train=1, num_dev=1, num_test=1)
    (tmp_path / "train.parquet").write_text("no parquet")
    with pytest.raises(ValueError, match=r"train\.parquet cannot be read as parquet"):
        load_task(f"sst2@{tmp_path}")


def test_places_and_words_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"task sst2@nowhere: there is no such folder"):
        load_task("sst2@nowhere")
    with pytest.raises(ValueError, match=r"train\.jsonl is missing"):
        load_task(f"sst2@{tmp_path}")
    with pytest.raises(ValueError, match="leaves no examples for train; lower num_train, num_dev"):
        load_task("sst2@sample", num_dev=500)
    with pytest.raises(ValueError, match="options does not go with a task of the kind choice"):
        load_task("copa@sample", options=["a", "b"])
    with pytest.raises(ValueError, match="template does not go with a task of the kind images"):
        load_task("cifar10@sample", template="{text} {option}")
    task, _ = load_task("rte@sample", options=["yes", "no"])
    assert task.kind.options == ("yes", "no")
    assert task == dataclasses.replace(TASKS["rte"], kind=task.kind)


def test_the_list_names_kind_source_and_metric():
    table = {row.name: row[1:] for row in describe()}
    assert len(table) == len(TASKS) == 22
    assert table["wsc"] == ("classification", "aps/super_glue/wsc.fixed", "accuracy")
    assert table["drop"] == ("generation", "ucinlp/drop", "f1")
    assert table["countdown"] == ("generation", "made anew", "solved")
    assert table["digits"] == ("images", "scikit-learn", "accuracy")
    assert table["reviews"] == ("classification", "shipped", "accuracy")
