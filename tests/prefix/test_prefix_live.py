"""PEFT computes with our files what we compute, and we read what it writes."""

import numpy as np
import pytest
from flax import nnx

from zojax import prefix
from zojax.models import OPT, OPTConfig, from_pretrained

torch = pytest.importorskip("torch", reason="compares with PEFT as it runs")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

# PEFT asks transformers for what that has renamed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated:FutureWarning"),
]

IDS = np.array([[0, 6, 7, 8], [10, 11, 12, 13]])
MASK = np.array([[0, 1, 1, 1], [1, 1, 1, 1]])
SETTINGS = {
    "vocab_size": 32,
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "ffn_dim": 16,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
}


@pytest.fixture
def base(tmp_path):
    OPT(OPTConfig(**SETTINGS, init_std=0.5), rngs=nnx.Rngs(0)).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def theirs(model):
    with torch.no_grad():
        out = model.eval()(input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK))
    return out.logits.numpy()


def assert_same(logits, model):
    ours = np.asarray(nnx.jit(lambda model: model(IDS, MASK))(model))
    tokens = MASK[..., None] == 1
    np.testing.assert_allclose(np.where(tokens, ours, 0), np.where(tokens, logits, 0), atol=1e-4)


def test_peft_reads_what_we_write(base, tmp_path):
    model = prefix.adapt(from_pretrained(base), tokens=[4, 5, 9])
    prefix.save_peft(model, tmp_path / "prefix", base_model=base)
    plain = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    before = theirs(plain)
    logits = theirs(peft.PeftModel.from_pretrained(plain, tmp_path / "prefix"))
    assert_same(logits, model)
    assert np.abs(logits - before).max() > 0.1


def test_we_read_what_peft_writes(base, tmp_path):
    plain = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    model = peft.get_peft_model(plain, config)
    model.save_pretrained(tmp_path / "prefix")
    assert_same(theirs(model), prefix.load_peft(from_pretrained(base), tmp_path / "prefix"))
