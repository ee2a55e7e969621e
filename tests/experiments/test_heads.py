"""Which head answers, by checkpoint and task; and a classifier in the main job."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from experiments._heads import choose_head
from experiments._job import prepare
from experiments._model_and_task import ModelAndTask
from experiments._predictor import Predictor
from experiments.evaluate import Evaluate, evaluate
from experiments.finetune import Settings, finetune
from experiments.replay import Command, replay
from zojax import lora, models, prefix

IDS = jnp.array([[1, 4, 5, 6, 9]])


@pytest.fixture
def checkpoint(tmp_path):
    def make(architecture, **settings):
        types = {"Bert": "bert", "Roberta": "roberta", "OPT": "opt", "ViT": "vit"}
        (model_type,) = (name for start, name in types.items() if architecture.startswith(start))
        config = {"model_type": model_type, "architectures": [architecture], **settings}
        (tmp_path / "config.json").write_text(json.dumps(config))
        return str(tmp_path)

    return make


def head_of(source, task, head=None, **words):
    return choose_head(source, task, head=head, **words).head


@pytest.mark.parametrize(
    ("architecture", "in_words", "with_mask"),
    [
        ("BertModel", "classifier", "masked_language_model"),
        ("BertForMaskedLM", "classifier", "masked_language_model"),
        ("RobertaForSequenceClassification", "classifier", "classifier"),
        ("OPTForCausalLM", "language_model", "classifier"),
        ("OPTModel", "language_model", "classifier"),
        ("OPTForSequenceClassification", "classifier", "classifier"),
    ],
)
def test_the_head_fits_checkpoint_and_task(checkpoint, architecture, in_words, with_mask):
    source = checkpoint(architecture)
    assert head_of(source, "own.jsonl") == head_of(source, "sst2") == in_words
    assert head_of(source, "sst2_masked") == with_mask
    assert head_of(source, "sst2", "classifier") == "classifier"


def test_a_template_of_words_asks_for_their_head(checkpoint):
    source = checkpoint("RobertaForSequenceClassification")
    head = head_of(source, "own.jsonl", template="{text} It was {mask}.")
    assert head == "masked_language_model"
    with pytest.raises(ValueError, match="but the template asks for language_model; choose ano"):
        head_of(source, "own.jsonl", template="{text} It was {option}")


def test_pictures_have_a_classifier(checkpoint):
    assert head_of(checkpoint("ViTModel"), "digits") == "classifier"


def test_a_classifier_that_names_its_classes_gives_the_options_of_ones_own_data(checkpoint):
    source = checkpoint("BertForSequenceClassification", id2label={"0": "sad", "1": "glad"})
    assert choose_head(source, "own.jsonl", head=None).options == ("sad", "glad")
    assert choose_head(source, "own.jsonl", head=None, options=("a", "b")).options == ("a", "b")
    assert choose_head(source, "sst2", head=None).options is None
    source = checkpoint("BertForSequenceClassification")
    assert choose_head(source, "own.jsonl", head=None).options is None


def test_heads_that_a_family_lacks_are_named(checkpoint):
    source = checkpoint("BertModel")
    with pytest.raises(ValueError, match=r"kind choice asks for language_model; choose another"):
        head_of(source, "copa")
    with pytest.raises(ValueError, match=r"head masked_.* or classifier, but --head asks for lang"):
        head_of(source, "sst2", "language_model")


@pytest.fixture
def settings(task_folder, tmp_path):
    def make(model, **changes):
        values = {
            "model": str(model),
            "task": str(task_folder),
            "steps": 4,
            "batch_size": 4,
            "learning_rate": 0.05,
            "eval_every": 2,
            "options": ("sad", "glad"),
            "out": tmp_path / "run",
        }
        return Settings(**values | changes)

    return make


@pytest.fixture(scope="module")
def encoder_folder(tokenizer, tmp_path_factory):
    """A BERT without a head, as pretrained encoders are published."""
    config = models.BERTConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
        initializer_range=0.3,
    )
    folder = tmp_path_factory.mktemp("encoder")
    models.BERT(config, head=None, rngs=nnx.Rngs(0)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def flat(tree):
    return dict(nnx.to_flat_state(tree))


@pytest.mark.slow
def test_an_encoder_gets_a_new_classifier_of_the_seed(settings, encoder_folder, capsys):
    result = finetune(settings(encoder_folder))
    assert "classifier of sad, glad" in capsys.readouterr().out
    config = json.loads((result.out / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "sad", "1": "glad"}
    before = prepare(settings(encoder_folder, out=result.out / "again"))
    other = prepare(settings(encoder_folder, out=result.out / "other", seed=1))
    for module in ("classifier", "pooler"):
        trained, start, others = (
            jax.tree.leaves(tree[module])[-1]
            for tree in (
                nnx.state(models.from_pretrained(result.out / "model")),
                before.params,
                other.params,
            )
        )
        assert 0 < np.abs(start - trained).max() < 0.3
        assert np.abs(start - others).max() > 1e-3


@pytest.mark.slow
def test_a_classifier_is_trained_and_exported_beside_lora(settings, encoder_folder, tmp_path):
    run = settings(encoder_folder, adapter="lora", rank=2)
    job = prepare(run)
    names = {path[0] for path in flat(job.params)}
    assert names == {"bert", "classifier", "pooler"}
    assert {path[-1] for path in flat(job.params) if path[0] == "bert"} == {"lora_a", "lora_b"}
    trained = finetune(run)
    judged = evaluate(Evaluate(ModelAndTask(str(run.out))))
    assert judged.score == trained.score_after
    row = {"text": "the food was bad"}
    (answer,) = Predictor(ModelAndTask(str(run.out))).predict([("row", row)])
    assert set(answer["probabilities"]) == {"sad", "glad"}
    again = tmp_path / "again"
    replay(Command(run.out, out=again), Console(quiet=True))
    file = "adapter/adapter_model.safetensors"
    assert (again / file).read_bytes() == (run.out / file).read_bytes()
    merged = models.from_pretrained(run.out / "model")
    base = models.from_pretrained(
        encoder_folder, head="classifier", labels=("sad", "glad"), key=jax.random.key(7)
    )
    adapted = lora.load_peft(base, run.out / "adapter")
    np.testing.assert_allclose(adapted(IDS), merged(IDS), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(adapted.pooler.dense.kernel, merged.pooler.dense.kernel)
    assert np.abs(adapted.classifier.kernel - job.params.classifier.kernel).max() > 0


@pytest.mark.slow
def test_a_decoder_classifies_its_last_token_beside_a_prefix(settings, model_folder):
    run = settings(model_folder, head="classifier", adapter="prefix", prefix_length=3)
    finetune(run)
    whole = models.from_pretrained(run.out / "model")
    assert whole.head == "classifier"
    base = models.from_pretrained(
        model_folder, head="classifier", labels=("sad", "glad"), key=jax.random.key(7)
    )
    adapted = prefix.load_peft(base, run.out / "adapter")
    np.testing.assert_array_equal(adapted.score.kernel, whole.score.kernel)
    assert not np.array_equal(base.score.kernel, whole.score.kernel)
    again = prefix.load_peft(whole, run.out / "adapter")
    np.testing.assert_array_equal(adapted(IDS), again(IDS))


def test_a_method_of_atoms_leaves_the_classifier_as_it_starts(settings, encoder_folder):
    job = prepare(settings(encoder_folder, method="ar1_zo"))
    assert {path[-1] for path in flat(job.params)} == {"lora_a", "lora_b"}


def test_an_adapter_inside_the_classifier_is_refused(settings, encoder_folder):
    run = settings(encoder_folder, adapter="lora", rank=2, targets=("dense",))
    with pytest.raises(ValueError, match=r"targets: pooler\.dense is a part of the classifier"):
        prepare(run)


def test_a_trained_classifier_goes_on_with_its_own_labels(settings, encoder_folder, tmp_path):
    classifier = models.from_pretrained(
        encoder_folder, head="classifier", labels=("glad", "sad"), key=jax.random.key(0)
    )
    folder = tmp_path / "classifier"
    classifier.save_pretrained(folder)
    for file in encoder_folder.glob("*token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(
        ValueError, match=r"has a classifier of the labels glad, sad, in this order"
    ):
        prepare(settings(folder))
    with pytest.raises(ValueError, match=r"has a classifier of 2 labels, and 3 are asked for"):
        prepare(settings(folder, options=("a", "b", "c")))
    job = prepare(settings(folder, options=("bad", "good")))
    np.testing.assert_array_equal(job.params.classifier.kernel, classifier.classifier.kernel)
