"""What transformers makes of a classifier that the main job wrote."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.finetune import Settings, finetune
from zojax import models

torch = pytest.importorskip("torch", reason="compares with transformers as it runs")
transformers = pytest.importorskip("transformers")

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the soup not so good and film was bad fine it"
PAIRS = [("the soup was good", "it was fine"), ("the film", "so bad and not good")]
LABELS = ("no", "maybe", "yes")
SIZES = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
MODELS = {
    "encoder": lambda: models.BERT(
        models.BERTConfig(**SIZES, intermediate_size=16, initializer_range=0.5),
        head=None,
        rngs=nnx.Rngs(0),
    ),
    "decoder": lambda: models.Qwen3(
        models.Qwen3Config(
            **SIZES,
            intermediate_size=16,
            head_dim=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            pad_token_id=0,
            initializer_range=0.5,
        ),
        rngs=nnx.Rngs(0),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(MODELS))
def test_the_pipeline_of_transformers_reads_labels_and_pairs(kind, tmp_path):
    base = tmp_path / "base"
    MODELS[kind]().save_pretrained(base)
    (base / "vocab.txt").write_text("\n".join(WORDS.split()))
    tokenizer = transformers.BertTokenizer.from_pretrained(base)
    if kind == "decoder":
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer.backend_tokenizer,
            pad_token="[PAD]",
            model_input_names=["input_ids", "attention_mask"],
        )
    tokenizer.save_pretrained(base)
    rows = [{"a": a, "b": b, "label": LABELS[i % 3]} for i, (a, b) in enumerate(6 * PAIRS)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = Settings(
        model=str(base),
        task=str(tmp_path / "pairs.jsonl"),
        head="classifier",
        template="{a}{sep}{b}",
        options=LABELS,
        steps=2,
        batch_size=4,
        learning_rate=0.1,
        metric="macro_f1",
        out=tmp_path / "run",
    )
    finetune(run)
    pipe = transformers.pipeline("text-classification", str(run.out / "model"), top_k=None)
    ours = models.from_pretrained(run.out / "model")
    for a, b in PAIRS:
        found = {each["label"]: each["score"] for each in pipe({"text": a, "text_pair": b})}
        encoded = tokenizer(a, b)
        types = [jnp.array([encoded["token_type_ids"]])] if kind == "encoder" else []
        logits = ours(jnp.array([encoded["input_ids"]]), None, *types)[0]
        assert set(found) == set(LABELS)
        np.testing.assert_allclose(
            [found[label] for label in LABELS], nnx.softmax(logits), atol=1e-4
        )
