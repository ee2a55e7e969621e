"""Generation token for token as transformers does it."""

from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from make_stored_gated_decoders import VARIANTS
from stored_checkpoints import FIXTURES

from zojax.models import from_pretrained, generate

torch = pytest.importorskip("torch", reason="compares with PyTorch as it runs")
transformers = pytest.importorskip("transformers")

IDS = np.array([[0, 0, 5, 6, 7], [8, 9, 10, 11, 12], [0, 13, 14, 15, 16]])
MASK = (IDS > 0).astype(np.int64)
STORED = Path(__file__).parent / "stored"
DECODERS = [
    FIXTURES / "pre_norm",
    FIXTURES / "post_norm_projected",
    *(STORED / name for name in ("gpt2", *VARIANTS)),
]


@pytest.mark.parametrize("folder", DECODERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("stops", [False, True])
def test_greedy_tokens_are_theirs(folder, stops):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    free = _theirs(theirs, eos=None)
    stop = int(free[1, 2])  # so that one row ends early
    expected = _theirs(theirs, eos=stop) if stops else free
    model = from_pretrained(folder)
    ours = nnx.jit(
        lambda model: generate(
            model, IDS, MASK, max_new_tokens=6, stop=stop if stops else (), pad_token_id=1
        )
    )(model)
    np.testing.assert_array_equal(ours[:, : expected.shape[1]], expected)
    np.testing.assert_array_equal(ours[:, expected.shape[1] :], 1)


def _theirs(model, *, eos):
    model.generation_config.eos_token_id = eos
    model.generation_config.pad_token_id = 1
    with torch.no_grad():
        tokens = model.generate(
            input_ids=torch.tensor(IDS),
            attention_mask=torch.tensor(MASK),
            max_new_tokens=6,
            do_sample=False,
        )
    return tokens[:, IDS.shape[1] :].numpy()
