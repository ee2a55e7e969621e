"""What a model does without being trained."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from experiments import _references, references, tasks
from experiments._inputs import load_model


@pytest.fixture(scope="module")
def data(model_folder, task_folder):
    task, examples = tasks.load_task(str(task_folder))
    model, tokenizer = load_model(str(model_folder), "float32", task, jax.random.key(0))
    return _references.Data(model, tokenizer, task, examples, max_length=20, batch_size=4)


@pytest.fixture(scope="module")
def of_prompts(data):
    """Features of each prompt alone, without padding and option."""
    forward = jax.jit(data.model.features)
    return {
        split: np.concatenate(
            [
                forward(jnp.array([data.processor.encode(example.prompt)]))[:, -1]
                for example in data.examples[split]
            ]
        )
        for split in ("train", "test")
    }


def test_probed_features_are_those_at_the_end_of_the_prompt(data, of_prompts):
    features = _references.probed_features(data, data.encoded(test=data.examples["test"])["test"])
    np.testing.assert_allclose(features, of_prompts["test"], rtol=1e-4, atol=1e-5)


def test_the_linear_probe_is_a_logistic_regression_on_them(data, of_prompts):
    labels = {
        split: [example.label for example in data.examples[split]] for split in ("train", "test")
    }
    probe = LogisticRegression(max_iter=5000).fit(of_prompts["train"], labels["train"])
    expected = probe.score(of_prompts["test"], labels["test"])
    assert _references.linear_probe(data) == pytest.approx(expected)


def test_without_demonstrations_in_context_is_zero_shot(data):
    assert _references.in_context(data, 0, seed=0) == _references.zero_shot(data)
    with pytest.raises(ValueError, match=r"demonstrations must lie between 0 and 12, .*; got 13"):
        _references.in_context(data, 13, seed=0)


def test_what_makes_no_sense_for_a_task_is_left_out(data):
    pictures = {"train": [tasks.ImageExample(np.zeros((2, 2, 1), np.uint8), 0)]}
    assert _references.in_context(data._replace(examples=pictures), 1, seed=0) is None
    task, _ = tasks.load_task("copa@sample")
    assert _references.linear_probe(data._replace(task=task)) is None


def test_the_command_prints_a_row_for_each(
    model_folder, task_folder, tmp_path, monkeypatch, capsys
):
    """That of AdamW is a run of the main job, on all weights."""
    flags = {"--model": model_folder, "--task": task_folder, "--out": tmp_path / "run"}
    flags |= {"--demonstrations": 2, "--steps": 2, "--batch-size": 4}
    words = [str(word) for pair in flags.items() for word in pair]
    monkeypatch.setattr("sys.argv", ["references", *words])
    references.main()
    rows = capsys.readouterr().out.rsplit("test score", 1)[1]
    for name in ("zero-shot", "in context, 2", "linear probe", "adamw, 2 updates"):
        assert f"  {name} " in rows
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["loss_evaluations"] == 6
    assert result["state_over_weights"] == pytest.approx(2, abs=0.1)
    assert f"{result['score_after']:.1%}" in rows
