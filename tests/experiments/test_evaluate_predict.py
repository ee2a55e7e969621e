"""Models that a run wrote, used: scores, predictions, and what a decoder says."""

import io
import json
import sys

import jax.numpy as jnp
import pytest

from experiments import evaluate as evaluation_job
from experiments import predict as prediction_job
from experiments._chat import Chat, Sampled
from experiments._model_and_task import ModelAndTask
from experiments._rows import lines_of, predictions_of
from experiments._trained import find_trained
from experiments.evaluate import Evaluate, evaluate
from experiments.finetune import Settings, finetune
from zojax import models
from zojax.training import read_metrics


@pytest.fixture(scope="module")
def make_run(model_folder, task_folder, tmp_path_factory):
    def make(**changes):
        values = {"model": str(model_folder), "task": str(task_folder), "steps": 2, "batch_size": 4}
        values |= {"eval_every": 2, "sampler": "rademacher", "max_length": 12}
        return finetune(Settings(**values | {"out": tmp_path_factory.mktemp("run")} | changes))

    return make


@pytest.fixture(scope="module")
def run(make_run):
    return make_run(learning_rate=3e-2)


def last(result, name):
    return [record[name] for record in read_metrics(result.out) if name in record][-1]


def check_evaluation(result):
    for split in ("test", "validation"):
        found = evaluate(Evaluate(ModelAndTask(str(result.out)), split=split, batch_size=8))
        assert found.score == last(result, f"{split}_score")
        # An adapter that became part of the weights is rounded with them.
        assert found.loss == pytest.approx(last(result, f"{split}_loss"), rel=1e-5)


def test_the_scores_of_a_run_are_those_that_it_wrote(run, capsys):
    check_evaluation(run)
    output = capsys.readouterr().out
    assert f"test accuracy {run.score_after:.1%}, loss {last(run, 'test_loss'):.4f}, 7 ex" in output


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["prefix", "lora"])
def test_so_are_those_of_a_run_with_an_adapter(adapter, make_run):
    """A prefix is no part of the weights; a LoRA adapter is, and is an adapter of its base, too."""
    result = make_run(adapter=adapter, learning_rate=1.0)
    check_evaluation(result)
    base = find_trained(str(result.out / "adapter"))
    assert base.adapter == result.out / "adapter"
    with pytest.raises(ValueError, match=r"task is missing, and .* is no run of"):
        evaluate(Evaluate(ModelAndTask(str(result.out / "adapter"))))
    settings = find_trained(str(result.out)).settings
    what = ModelAndTask(str(result.out / "adapter"), settings["task"], max_length=12)
    assert evaluate(Evaluate(what)).loss == pytest.approx(last(result, "test_loss"), rel=1e-5)


def test_of_any_checkpoint_what_is_asked_is_named(run, model_folder, task_folder):
    before = next(r["test_score"] for r in read_metrics(run.out) if "test_score" in r)
    found = evaluate(Evaluate(ModelAndTask(str(model_folder), str(task_folder), max_length=12)))
    assert found.score == before


def rows_of(folder):
    return [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]


def test_predictions_are_those_that_were_scored(run, task_folder, tmp_path, monkeypatch):
    """As a command: rows without labels in, a line for each out."""
    rows = rows_of(task_folder)
    source, target = tmp_path / "rows.jsonl", tmp_path / "predictions.jsonl"
    source.write_text("".join(json.dumps({"text": row["text"]}) + "\n\n" for row in rows))
    command = ["predict", str(run.out), "--input", str(source), "--output", str(target)]
    monkeypatch.setattr(sys, "argv", [*command, "--batch-size", "3"])
    prediction_job.main()
    predictions = [json.loads(line) for line in target.read_text().splitlines()]
    options = ("terrible", "great")
    labels = [options[row["label"]] for row in rows]
    right = [p["prediction"] == label for p, label in zip(predictions, labels, strict=True)]
    assert sum(right) / len(right) == pytest.approx(run.score_after)
    for prediction in predictions:
        chances = prediction["probabilities"]
        assert set(chances) == set(options)
        assert sum(chances.values()) == pytest.approx(1.0, abs=1e-6)
        assert prediction["prediction"] == max(chances, key=chances.get)
    with pytest.raises(SystemExit, match=r"output .*predictions\.jsonl exists; choose another"):
        prediction_job.main()


def test_plain_lines_are_texts(run, task_folder, monkeypatch, capsys):
    text = rows_of(task_folder)[0]["text"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{text}\n" + json.dumps({"text": text})))
    monkeypatch.setattr(sys, "argv", ["predict", str(run.out)])
    prediction_job.main()
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


class Echo:
    def predict(self, rows):
        return [{"prediction": f"{place}: {row['text']}"} for place, row in rows]


def test_lines_keep_their_numbers():
    lines = lines_of(io.StringIO('one\n\n{"text": "Zwölf"}\n'))
    assert list(predictions_of(Echo(), lines, "rows", 1)) == [
        '{"prediction": "rows, line 1: one"}',
        '{"prediction": "rows, line 3: Zwölf"}',
    ]
    with pytest.raises(ValueError, match="rows, line 2: begins like a JSON object and is none"):
        list(predictions_of(Echo(), lines_of(io.StringIO('one\n{"text"\n')), "rows", 1))


def test_a_row_that_cannot_be_used_ends_with_its_line(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"txt": "the food"}\n'))
    monkeypatch.setattr(sys, "argv", ["predict", str(run.out)])
    with pytest.raises(SystemExit, match='error: stdin, line 1: field "text" is missing'):
        prediction_job.main()


def test_a_decoder_goes_on_with_what_is_typed(run, tokenizer, monkeypatch, capsys):
    """The same tokens as `generate` makes, whatever the padding; and a draw has its seed."""
    model = models.from_pretrained(run.out / "model")
    ids = jnp.array([tokenizer("the food was").input_ids])
    tokens = models.generate(model, ids, max_new_tokens=4, stop=tokenizer.eos_token_id)
    expected = tokenizer.decode(tokens[0], skip_special_tokens=True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("the food was\nthe food was\n"))
    command = ["predict", str(run.out), "--chat", "--max-new-tokens", "4"]
    monkeypatch.setattr(sys, "argv", command)
    prediction_job.main()
    assert capsys.readouterr().out == f"{expected}\n" * 2

    def drawn(seed):
        chat = Chat(ModelAndTask(str(run.out)), Sampled(4, temperature=3.0, seed=seed))
        return [chat.answer("the food was") for _ in range(4)]

    assert drawn(1) == drawn(1)
    assert len(set(drawn(1))) > 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1; got 0"),
        ({"temperature": -1.0}, "temperature must be at least 0 and finite; got -1.0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1; got 0.0"),
    ],
)
def test_draws_out_of_range_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Sampled(**given)


def test_models_that_cannot_be_used_are_named(run, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"max_new_tokens 40 leaves no room for a prompt: .* 12 "):
        Chat(ModelAndTask(str(run.out)), Sampled(40))
    (tmp_path / "settings.yaml").write_text("task: reviews\n")
    with pytest.raises(ValueError, match="holds a run that has not ended: it has no folder model"):
        find_trained(str(tmp_path))
    (tmp_path / "settings.yaml").unlink()
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"adapter_config\.json has no base_model_name_or_path"):
        find_trained(str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["evaluate", str(tmp_path / "nothing"), "reviews"])
    with pytest.raises(SystemExit, match=r"error: .*nothing"):
        evaluation_job.main()
    monkeypatch.setattr(sys, "argv", ["evaluate", str(run.out), "--batch-size", "0"])
    with pytest.raises(SystemExit):
        evaluation_job.main()
