"""Adapters against PEFT with torch: both ways through the files, and merged."""

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from zojax import lora
from zojax.models import from_pretrained

torch = pytest.importorskip(
    "torch", reason="compares with PEFT as it runs; test_lora_peft.py looks at the files"
)
peft = pytest.importorskip("peft", reason="compares with PEFT as it runs")
transformers = pytest.importorskip("transformers")

# PEFT asks transformers by a name that is about to go.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
PARITY = {"atol": 1e-4, "rtol": 0}
run = nnx.jit(lambda model, ids: model(ids))


def load_base(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()


def assert_same_logits(ours, theirs, ids):
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor(np.asarray(ids))).logits.numpy()
    np.testing.assert_allclose(run(ours, ids), logits, **PARITY)
    return logits


@pytest.fixture
def base_folder(model, tmp_path):
    model.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_peft_reads_what_we_write(adapted, ids, base_folder, tmp_path):
    lora.save_peft(adapted, tmp_path / "adapter", base_model=base_folder)
    theirs = peft.PeftModel.from_pretrained(load_base(base_folder), tmp_path / "adapter").eval()
    logits = assert_same_logits(adapted, theirs, ids)
    assert np.abs(logits - run(from_pretrained(base_folder), ids)).max() > 0.1
    assert_same_logits(lora.merge(adapted), theirs.merge_and_unload(), ids)
    # Every tensor found its place, and PEFT makes no others.
    theirs = peft.PeftModel.from_pretrained(load_base(base_folder), tmp_path / "adapter")
    theirs.save_pretrained(tmp_path / "again")
    ours, again = (
        load_file(tmp_path / name / "adapter_model.safetensors") for name in ("adapter", "again")
    )
    assert ours.keys() == again.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], again[name], strict=True)


def test_the_automatic_class_of_peft_finds_the_base_model(adapted, ids, base_folder, tmp_path):
    lora.save_peft(adapted, tmp_path / "adapter", base_model=base_folder)
    theirs = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter").eval()
    assert_same_logits(adapted, theirs, ids)


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 2, "lora_alpha": 5, "target_modules": ["q_proj", "v_proj"]},
        {"r": 4, "lora_alpha": 3, "target_modules": "all-linear", "lora_dropout": 0.1},
        {"r": 4, "lora_alpha": 3, "target_modules": r".*\.fc[12]", "use_rslora": True},
        {"r": 1, "lora_alpha": 2, "target_modules": ["fc1"], "task_type": "CAUSAL_LM"},
    ],
)
def test_we_read_what_peft_writes(settings, ids, base_folder, tmp_path):
    torch.manual_seed(0)
    theirs = peft.get_peft_model(load_base(base_folder), peft.LoraConfig(**settings)).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path / "adapter")
    ours = lora.load_peft(from_pretrained(base_folder), tmp_path / "adapter")
    assert_same_logits(ours, theirs, ids)


def test_an_adapter_for_some_layers_is_refused(model, base_folder, tmp_path):
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], layers_to_transform=[1])
    peft.get_peft_model(load_base(base_folder), config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"has layers_to_transform = \[1\]"):
        lora.load_peft(model, tmp_path / "adapter")


def test_a_new_adapter_has_the_law_of_peft(base_folder):
    """Uniform on (-1/√in, 1/√in), as ours is: mean square 1/(3 in), fourth moment 1/(5 in²)."""
    torch.manual_seed(0)
    config = peft.LoraConfig(r=4, target_modules=["fc2"])
    theirs = peft.get_peft_model(load_base(base_folder), config)
    a = np.stack([p.detach() for n, p in theirs.named_parameters() if "lora_A" in n])
    bound = 16**-0.5
    assert a.size == 128
    assert 0.9 * bound < np.abs(a).max() <= bound
    np.testing.assert_allclose(np.mean(a**2), bound**2 / 3, rtol=5 / np.sqrt(a.size / 0.8))
