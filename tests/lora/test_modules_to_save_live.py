"""PEFT computes with our files of an adapter and a classifier, and we with its files."""

import numpy as np
import pytest
from flax import nnx

from zojax import lora, prefix
from zojax.models import (
    BERT,
    OPT,
    BERTConfig,
    DistilBERT,
    DistilBERTConfig,
    ModernBERT,
    ModernBERTConfig,
    OPTConfig,
    RoBERTa,
    RoBERTaConfig,
    from_pretrained,
)

torch = pytest.importorskip("torch", reason="compares with PEFT as it runs")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

# PEFT asks transformers for what that has renamed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated:FutureWarning"),
]

IDS = np.array([[5, 6, 7, 8], [10, 11, 12, 13]])
LABELS = ("bad", "fair", "good")
SIZES = {"vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
WIDE = SIZES | {"intermediate_size": 16, "initializer_range": 0.5, "labels": LABELS}
MODELS = {
    "bert": lambda rngs: BERT(BERTConfig(**WIDE), head="classifier", rngs=rngs),
    "roberta": lambda rngs: RoBERTa(RoBERTaConfig(**WIDE), head="classifier", rngs=rngs),
    "opt": lambda rngs: OPT(
        OPTConfig(**SIZES, ffn_dim=16, max_position_embeddings=16, init_std=0.5, labels=LABELS),
        head="classifier",
        rngs=rngs,
    ),
}
MODELS["distilbert"] = lambda rngs: DistilBERT(
    DistilBERTConfig(**WIDE), head="classifier", rngs=rngs
)
MODELS["modernbert"] = lambda rngs: ModernBERT(
    ModernBERTConfig(**WIDE, pad_token_id=0), head="classifier", rngs=rngs
)
# What a layer is called here, and there.
TARGETS = {
    "bert": ("query", "query"),
    "roberta": ("query", "query"),
    "opt": ("q_proj", "q_proj"),
    "distilbert": ("query", "q_lin"),
    "modernbert": ("o_proj", "attn.Wo"),
}


@pytest.fixture(params=list(MODELS))
def family(request):
    return request.param


@pytest.fixture
def base(family, tmp_path):
    MODELS[family](nnx.Rngs(0)).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def load_base(folder):
    return transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()


def assert_same_logits(ours, theirs):
    with torch.no_grad():
        logits = theirs.eval()(input_ids=torch.tensor(IDS)).logits.numpy()
    np.testing.assert_allclose(nnx.jit(lambda model: model(IDS))(ours), logits, atol=1e-4)
    return logits


def with_another_head(model, family):
    other = MODELS[family](nnx.Rngs(1))
    for module in model.checkpoint_format.new:
        setattr(model, module, getattr(other, module))
    return model


def test_peft_reads_lora_with_our_classifier(family, base, key, tmp_path):
    before = assert_same_logits(from_pretrained(base), load_base(base))
    model = with_another_head(from_pretrained(base), family)
    model = lora.adapt(model, TARGETS[family][0], rank=2, scale=2.0, key=key)
    whole = model.checkpoint_format.new
    lora.save_peft(model, tmp_path / "adapter", base_model=base, modules_to_save=whole)
    theirs = peft.AutoPeftModelForSequenceClassification.from_pretrained(
        tmp_path / "adapter", num_labels=3
    )
    assert np.abs(assert_same_logits(model, theirs) - before).max() > 0.1


def test_we_read_what_peft_saves_beside_lora(family, base, tmp_path):
    torch.manual_seed(0)
    config = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=[TARGETS[family][1]])
    theirs = peft.get_peft_model(load_base(base), config)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path / "adapter")
    assert_same_logits(lora.load_peft(from_pretrained(base), tmp_path / "adapter"), theirs)


@pytest.mark.parametrize("family", ["opt"], indirect=True)
def test_a_prefix_with_a_classifier_goes_both_ways(family, base, tmp_path):
    """Tensor by tensor: PEFT 0.21 cannot call a classifier of transformers 5 with a prefix."""

    def tensors_of(theirs):
        score = theirs.base_model.score.modules_to_save["default"].weight
        prompt = theirs.prompt_encoder["default"].embedding.weight
        return score.detach().numpy(), prompt.detach().numpy().reshape(-1, 2, 2, 2, 4)

    def assert_same(ours, theirs):
        score, prompt = tensors_of(theirs)  # prompt: (length, layers, key or value, heads, width)
        pair = ours.layers.self_attn.prefix
        np.testing.assert_array_equal(ours.score.kernel, score.T)
        np.testing.assert_array_equal(pair.past_key.transpose(1, 0, 2, 3), prompt[:, :, 0])
        np.testing.assert_array_equal(pair.past_value.transpose(1, 0, 2, 3), prompt[:, :, 1])

    model = prefix.adapt(with_another_head(from_pretrained(base), family), tokens=[4, 5, 9])
    whole = model.checkpoint_format.new
    prefix.save_peft(model, tmp_path / "ours", base_model=base, modules_to_save=whole)
    assert_same(model, peft.PeftModel.from_pretrained(load_base(base), tmp_path / "ours"))

    torch.manual_seed(0)
    config = peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4)
    theirs = peft.get_peft_model(load_base(base), config)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path / "theirs")
    assert_same(prefix.load_peft(from_pretrained(base), tmp_path / "theirs"), theirs)
