"""GPT-2 and the encoders against `transformers` with torch, on fresh weights: both ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from make_stored_text_models import (
    COMMON,
    HEADS,
    PAD,
    PADDINGS,
    WITHOUT_TYPES,
    inputs,
    labels,
    random_model,
)
from make_stored_text_models import reference as compute_theirs
from text_model_checks import PARITY, mean_loss, run

from zojax import lora
from zojax.models import from_pretrained, generate

torch = pytest.importorskip("torch", reason="compares with PyTorch as it runs")
transformers = pytest.importorskip("transformers")

CASES = {
    "gpt2": ("gpt2", "LMHeadModel", {}),
    "gpt2_scaled": (
        "gpt2",
        "LMHeadModel",
        {
            "scale_attn_by_inverse_layer_idx": True,
            "reorder_and_upcast_attn": True,
            "tie_word_embeddings": False,
            "n_inner": 24,
            "activation_function": "relu",
        },
    ),
    "gpt2_unscaled": ("gpt2", "LMHeadModel", {"scale_attn_weights": False}),
    "gpt2_classifier": ("gpt2", "ForSequenceClassification", {"num_labels": 3}),
    "gpt2_body": ("gpt2", "Model", {"layer_norm_epsilon": 1e-2}),
    "bert": ("bert", "ForMaskedLM", {"type_vocab_size": 3, "hidden_act": "gelu_new"}),
    "bert_classifier": ("bert", "ForSequenceClassification", {"num_labels": 3}),
    "bert_body": ("bert", "Model", {"layer_norm_eps": 1e-2, "hidden_act": "relu"}),
    "roberta": ("roberta", "ForMaskedLM", {"type_vocab_size": 2, "hidden_act": "relu"}),
    "roberta_classifier": ("roberta", "ForSequenceClassification", {"num_labels": 3}),
    "roberta_body": ("roberta", "Model", {"layer_norm_eps": 1e-2}),
    "distilbert": ("distilbert", "ForMaskedLM", {"activation": "relu"}),
    "distilbert_classifier": ("distilbert", "ForSequenceClassification", {"num_labels": 3}),
    "distilbert_body": ("distilbert", "Model", {}),
    "modernbert": (
        "modernbert",
        "ForMaskedLM",
        {
            "num_hidden_layers": 3,
            "global_attn_every_n_layers": 3,
            "norm_bias": True,
            "attention_bias": True,
            "mlp_bias": True,
            "classifier_bias": True,
            "norm_eps": 1e-2,
        },
    ),
    "modernbert_no_bias": (
        "modernbert",
        "ForMaskedLM",
        {"decoder_bias": False, "classifier_activation": "relu", "hidden_activation": "relu"},
    ),
    "modernbert_classifier": ("modernbert", "ForSequenceClassification", {"num_labels": 3}),
    "modernbert_mean": (
        "modernbert",
        "ForSequenceClassification",
        {"classifier_pooling": "mean", "layer_types": ["sliding_attention"] * 2},
    ),
    "modernbert_body": ("modernbert", "Model", {"local_attention": 3}),
}
cases = pytest.mark.parametrize("case", CASES)
# PEFT asks transformers by a name that is about to go.
peft_warnings = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


def assert_same_outputs(ours, theirs, seed=7):
    family, head = ours.config.model_type, ours.head
    ids, types, masks = inputs(seed, family)
    for padding in PADDINGS:
        if padding == "left" and head == "classifier" and family != "gpt2":
            continue  # transformers would read the first padding
        mask, arrays = masks[padding], (ids[padding], masks[padding], types)
        used = arrays[:2] if family in WITHOUT_TYPES else arrays
        features, logits = run(ours, *map(jnp.asarray, used))
        targets = labels(*used[:2], head)
        expected = compute_theirs(theirs, *arrays, targets)
        np.testing.assert_allclose(features[mask == 1], expected["features"][mask == 1], **PARITY)
        if head is not None:
            tokens = mask == 1 if logits.ndim == 3 else ...
            np.testing.assert_allclose(logits[tokens], expected["logits"][tokens], **PARITY)
            found = mean_loss(logits, targets, head)
            np.testing.assert_allclose(found, expected["loss"], **PARITY)


def load_theirs(folder, architecture):
    """Loads as a user would, and requires that every tensor found its place."""
    model, info = getattr(transformers, architecture).from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    poolers = {"pooler.dense.weight", "pooler.dense.bias"}  # of a body, and used by no head
    info["missing_keys"] = set(info["missing_keys"]) - poolers
    assert not any(info.values()), info
    return model.eval()


@cases
def test_both_ways_through_the_files(case, tmp_path):
    """We read what transformers writes, and it reads what we write of that, changed by us."""
    family, ending, settings = CASES[case]
    theirs = random_model(family, ending, 100, **settings)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_pretrained(tmp_path / "theirs")
    assert ours.head == HEADS[ending]
    assert_same_outputs(ours, theirs)
    graphdef, params = nnx.split(ours, nnx.Param)
    ours = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[::-1] * 1.1, params))
    ours.save_pretrained(tmp_path / "ours")
    again = load_theirs(tmp_path / "ours", type(theirs).__name__)
    assert_same_outputs(ours, again)
    for name in COMMON[family] | settings:
        assert getattr(again.config, name) == getattr(theirs.config, name), name


def test_roberta_finds_the_positions_by_itself():
    """Without `position_ids`, where the padding is the token of padding."""
    theirs = random_model("roberta", "ForMaskedLM", 3)
    ids, types, masks = inputs(3, "roberta")
    tensors = (torch.tensor(ids["left"]), torch.tensor(masks["left"]))
    with torch.no_grad():
        found = theirs(input_ids=tensors[0], attention_mask=tensors[1]).logits.numpy()
    expected = compute_theirs(theirs, ids["left"], masks["left"], types, None)["logits"]
    np.testing.assert_allclose(found, expected, **PARITY)


def test_gpt2_generates_token_for_token(tmp_path):
    """Greedily, behind prompts that are padded on the left."""
    theirs = random_model("gpt2", "LMHeadModel", 5, scale_attn_by_inverse_layer_idx=True)
    theirs.save_pretrained(tmp_path)
    ids, mask = np.array([[PAD, PAD, 9, 10], [5, 6, 7, 8]]), np.array([[0, 0, 1, 1], [1, 1, 1, 1]])
    with torch.no_grad():
        expected = theirs.generate(
            input_ids=torch.tensor(ids),
            attention_mask=torch.tensor(mask),
            max_new_tokens=6,
            do_sample=False,
            eos_token_id=None,
        ).numpy()[:, 4:]
    model = from_pretrained(tmp_path)
    found = generate(
        model, jnp.asarray(ids), attention_mask=jnp.asarray(mask), max_new_tokens=6, stop=()
    )
    np.testing.assert_array_equal(np.asarray(found)[..., -6:], expected)


@peft_warnings
@pytest.mark.parametrize(
    ("case", "targets"),
    [
        ("gpt2", ["c_attn"]),
        ("gpt2_classifier", ["c_attn", "mlp.c_proj"]),
        ("bert", ["query", "value"]),
        ("bert_classifier", ["query", "layers.*.dense"]),
        ("roberta", ["query", "value", "lm_head.dense"]),
        ("roberta_classifier", ["query", "value"]),
        ("distilbert", ["query", "value", "layers.*.dense"]),
        ("modernbert", ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    ],
)
def test_peft_reads_our_adapters_and_we_read_its(case, targets, tmp_path):
    peft = pytest.importorskip("peft", reason="compares with PEFT as it runs")
    family, ending, settings = CASES[case]
    base = random_model(family, ending, 100, **settings)
    base.save_pretrained(tmp_path / "base")
    ours = from_pretrained(tmp_path / "base")
    new = lora.adapt(ours, targets, rank=2, scale=1.5, key=jax.random.key(0))
    graphdef, adapter, frozen = nnx.split(new, nnx.LoRAParam, ...)
    adapted = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf + 0.1, adapter), frozen)
    lora.save_peft(adapted, tmp_path / "adapter", base_model=tmp_path / "base")
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert_same_outputs(adapted, theirs)
    theirs.save_pretrained(tmp_path / "again")
    loaded = lora.load_peft(ours, tmp_path / "again")
    jax.tree.map(
        np.testing.assert_array_equal,
        *(nnx.to_pure_dict(nnx.state(model, nnx.LoRAParam)) for model in (loaded, adapted)),
    )
