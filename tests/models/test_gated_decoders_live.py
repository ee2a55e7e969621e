"""The gated families against `transformers` and PEFT with torch: both ways through files."""

import jax
import jax.numpy as jnp
import make_stored_gated_decoders as reference
import numpy as np
import optax
import pytest
from flax import nnx

from zojax import lora, prefix
from zojax.models import families, from_pretrained

torch = pytest.importorskip(
    "torch", reason="compares with PyTorch as it runs; test_gated_decoders.py has stored outputs"
)
transformers = pytest.importorskip("transformers")

PARITY = {"atol": 1e-4, "rtol": 0}
CASES = reference.VARIANTS | {
    "llama plain, one head of keys": ("llama", {"num_key_value_heads": 1, "rms_norm_eps": 1e-3}),
    "llama, all biases, tied": (
        "llama",
        {
            "num_key_value_heads": 4,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
            "hidden_act": "gelu_pytorch_tanh",
        },
    ),
    "qwen2 tied, windows unused": (
        "qwen2",
        {"tie_word_embeddings": True, "use_sliding_window": True, "max_window_layers": 2},
    ),
    "qwen3 untied, biases, llama3": (
        "qwen3",
        {"head_dim": 10, "attention_bias": True, "rope_parameters": reference.LLAMA3},
    ),
    "qwen2, a window above": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1},
    ),
    "qwen3, windows by type, yarn": (
        "qwen3",
        {
            "layer_types": ["sliding_attention", "full_attention"],
            "use_sliding_window": True,
            "sliding_window": 3,
            "rope_parameters": reference.YARN
            | {"mscale": 0.7, "mscale_all_dim": 0.4, "truncate": False},
        },
    ),
    "mistral without a window, tied": (
        "mistral",
        {"sliding_window": None, "tie_word_embeddings": True, "rope_parameters": reference.LLAMA3},
    ),
    "mistral, the window of one token": ("mistral", {"sliding_window": 1}),
    "gemma2 without caps, all windows, biases": (
        "gemma2",
        {
            "head_dim": 8,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "layer_types": ["sliding_attention"] * 2,
            "sliding_window": 5,
            "attention_bias": True,
        },
    ),
    "gemma3 as in older files": (
        "gemma3_text",
        {
            "head_dim": 8,
            "sliding_window": 3,
            "sliding_window_pattern": 2,
            "rope_theta": 500.0,
            "rope_local_base_freq": 20.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "tie_word_embeddings": False,
        },
    ),
    "phi3 plain, tied": ("phi3", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    "phi4 mini": ("phi3", {"rope_parameters": {"partial_rotary_factor": 0.5}}),
    "smollm3 with windows": (
        "smollm3",
        {"no_rope_layers": [0, 1], "use_sliding_window": True, "sliding_window": 3},
    ),
}
GATED = ("llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3_text", "phi3", "smollm3")
IDS, MASKS = reference.inputs(seed=7)
run = nnx.jit(lambda model, mask: (model.features(IDS, mask), model(jnp.asarray(IDS), mask)))
cases = pytest.mark.parametrize("case", CASES)


def assert_same_outputs(ours, theirs):
    for mask in MASKS.values():
        stated = reference.reference(theirs, IDS, mask)
        features, logits = run(ours, jnp.asarray(mask))
        np.testing.assert_allclose(features, stated["features"], **PARITY)
        np.testing.assert_allclose(logits, stated["logits"], **PARITY)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], IDS[:, 1:])
        loss = (losses * mask[:, 1:]).sum() / mask[:, 1:].sum()
        np.testing.assert_allclose(loss, stated["loss"], **PARITY)


def load_theirs(folder, auto="AutoModelForCausalLM"):
    """Loads as a user would, and requires that every tensor found its place."""
    model, info = getattr(transformers, auto).from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    assert not any(info.values()), info
    return model.eval()


@cases
def test_we_read_what_transformers_writes_and_it_reads_that_again(case, tmp_path):
    theirs = reference.random_model(*CASES[case], seed=100)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_pretrained(tmp_path / "theirs")
    assert_same_outputs(ours, theirs)
    ours.save_pretrained(tmp_path / "ours")
    again = load_theirs(tmp_path / "ours")
    assert isinstance(again, type(theirs))
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    stated, found = (model.config.to_dict() for model in (theirs, again))
    compared = ("rope_parameters", "head_dim", "tie_word_embeddings", "rms_norm_eps", "layer_types")
    for name in compared:
        assert stated.get(name) in (found.get(name), None), name
    assert_same_outputs(ours, again)


@pytest.mark.parametrize("model_type", GATED)
def test_transformers_reads_a_model_that_starts_here(model_type, tmp_path):
    settings = {**reference.COMMON, "initializer_range": 0.3, "head_dim": 4}
    if model_type != "phi3":
        settings["rope_parameters"] = reference.LINEAR
    family = families()[model_type]
    config = family.config_class.from_dict(settings)
    model = nnx.jit(lambda: family(config, rngs=nnx.Rngs(0)))()
    model.save_pretrained(tmp_path)
    assert_same_outputs(model, load_theirs(tmp_path))


def test_right_padding_needs_no_positions_in_transformers():
    """Theirs count padding as well, which on the right comes after all tokens."""
    stored = reference.STORED / "llama"
    mask = MASKS["right"]
    with torch.no_grad():
        theirs = load_theirs(stored)(torch.tensor(IDS), attention_mask=torch.tensor(mask)).logits
    _, logits = run(from_pretrained(stored), jnp.asarray(mask))
    np.testing.assert_allclose(logits[mask == 1], theirs.numpy()[mask == 1], **PARITY)


@pytest.mark.parametrize("length", [5, 9])
@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("llama", {"rope_parameters": reference.DYNAMIC, "max_position_embeddings": 6}),
        ("phi3", reference.VARIANTS["phi3"][1] | {"original_max_position_embeddings": 6}),
    ],
)
def test_frequencies_that_depend_on_the_length(model_type, settings, length, tmp_path):
    """Rows of one length: transformers asks for the longest, ours each for its own."""
    theirs = reference.random_model(model_type, settings, seed=5)
    theirs.save_pretrained(tmp_path)
    ours, ids = from_pretrained(tmp_path), IDS[:, :length]
    stated = reference.reference(theirs, ids, np.ones_like(ids))
    found = nnx.jit(lambda model: model(jnp.asarray(ids)))(ours)
    np.testing.assert_allclose(found, stated["logits"], **PARITY)
    ours.save_pretrained(tmp_path)
    again = reference.reference(load_theirs(tmp_path), ids, np.ones_like(ids))
    np.testing.assert_allclose(found, again["logits"], **PARITY)


@pytest.mark.parametrize("model_type", GATED)
def test_classifiers_and_bodies_go_both_ways(model_type, tmp_path):
    """Padded with the token of padding, by which transformers finds the last token."""
    ids = np.where(MASKS["right"] == 1, IDS, reference.COMMON["pad_token_id"])
    mask, settings = torch.tensor(MASKS["right"]), {"id2label": {0: "a", 1: "b", 2: "c"}}
    for auto, output in (
        ("AutoModelForSequenceClassification", "logits"),
        ("AutoModel", "last_hidden_state"),
    ):
        folder = tmp_path / auto
        theirs = reference.random_model(model_type, settings, seed=3, auto=auto)
        theirs.save_pretrained(folder)
        ours = from_pretrained(folder)
        ours.save_pretrained(folder)
        found = nnx.jit(lambda model: model(jnp.asarray(ids), jnp.asarray(mask.numpy())))(ours)
        for model in (theirs, load_theirs(folder, auto)):
            with torch.no_grad():
                stated = getattr(model(torch.tensor(ids), attention_mask=mask), output).numpy()
            rows = ... if output == "logits" else mask.numpy() == 1
            np.testing.assert_allclose(np.asarray(found)[rows], stated[rows], **PARITY)


# PEFT asks transformers by a name that is about to go.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
@pytest.mark.parametrize("variant", ["llama", "qwen3", "gemma3", "phi3"])
def test_peft_reads_an_adapter_of_ours(variant, tmp_path):
    peft = pytest.importorskip("peft", reason="compares with PEFT as it runs")
    stored = reference.STORED / variant
    targets = ("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj")
    if variant == "phi3":
        targets = ("qkv_proj", "gate_up_proj", "down_proj")
    model = lora.adapt(from_pretrained(stored), targets, rank=2, scale=1.5, key=jax.random.key(0))
    graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)
    adapter = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.shape[-1])), adapter)
    ours = nnx.merge(graphdef, adapter, frozen)
    lora.save_peft(ours, tmp_path, base_model=stored)
    theirs = peft.PeftModel.from_pretrained(load_theirs(stored), tmp_path).eval()
    assert_same_outputs(ours, theirs)
    assert_same_outputs(lora.merge(ours), theirs.merge_and_unload())
    assert_same_outputs(lora.load_peft(from_pretrained(stored), tmp_path), theirs)


# PEFT asks transformers by names that are about to go.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated")
@pytest.mark.parametrize("variant", ["mistral", "gemma3", "phi3", "smollm3"])
def test_windows_hide_a_prefix_in_peft_as_here(variant, tmp_path):
    """Three keys before nine tokens, of which the last see three or four."""
    peft = pytest.importorskip("peft", reason="compares with PEFT as it runs")
    stored = reference.STORED / variant
    ours = prefix.adapt(from_pretrained(stored), tokens=[4, 5, 9])
    prefix.save_peft(ours, tmp_path, base_model=stored)
    theirs = peft.PeftModel.from_pretrained(load_theirs(stored), tmp_path).eval()
    with torch.no_grad():
        stated = theirs(input_ids=torch.tensor(IDS)).logits.numpy()
    found = nnx.jit(lambda model: model(jnp.asarray(IDS)))(ours)
    np.testing.assert_allclose(found, stated, **PARITY)
