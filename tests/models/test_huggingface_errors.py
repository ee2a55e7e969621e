"""Every defect of a checkpoint is named, with what was found and what was asked for."""

import sys

import numpy as np
import pytest
from stored_checkpoints import WEIGHTS, assert_equal, configure, rewrite

from zojax.models import from_pretrained


def test_a_tied_head_that_differs_from_the_table_is_refused(folder):
    head = np.zeros((40, 16), np.float32)
    rewrite(folder, lambda tensors: tensors | {"lm_head.weight": head})
    with pytest.raises(ValueError, match=r"lm_head\.weight and .*embed_tokens\.weight differ"):
        from_pretrained(folder)


def test_another_head_is_left_out_with_a_warning(folder):
    whole = from_pretrained(folder)
    rewrite(folder, lambda tensors: tensors | {"score.weight": np.zeros((2, 16), np.float32)})
    with pytest.warns(UserWarning, match=r"another head, which are left out: score\.weight"):
        assert_equal(from_pretrained(folder), whole)


def test_tensors_of_a_deeper_model_are_refused(folder):
    configure(folder, num_hidden_layers=1)
    with pytest.raises(ValueError, match=r"16 tensors for which .*layers\.1\.fc1\.bias"):
        from_pretrained(folder)


def test_a_missing_tensor_is_named(folder):
    rewrite(
        folder, lambda t: {n: a for n, a in t.items() if n != "model.decoder.layers.1.fc2.bias"}
    )
    with pytest.raises(
        ValueError, match=r"lacks 1 of the 36 .*: model\.decoder\.layers\.1\.fc2\.bias"
    ):
        from_pretrained(folder)


def test_a_shape_that_differs_is_given_with_the_one_that_config_asks_for(folder):
    configure(folder, vocab_size=41)
    with pytest.raises(ValueError, match=r"embed_tokens\.weight has shape \(40, 16\).* \(41, 16\)"):
        from_pretrained(folder)


@pytest.mark.parametrize("file", [WEIGHTS, "flax_model.msgpack"])
@pytest.mark.parametrize("content", ["", "version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_file_is_named(folder, file, content):
    (folder / WEIGHTS).unlink()
    (folder / file).write_text(content)
    with pytest.raises(ValueError, match=f"{file} is damaged, or a Git LFS pointer"):
        from_pretrained(folder)


def test_a_pytorch_file_without_torch_says_what_to_do(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as good as not installed
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    with pytest.raises(ImportError, match="install torch, or save the model as safetensors"):
        from_pretrained(folder, allow_pickle=True)


def test_a_missing_config_is_named(folder):
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        from_pretrained(folder)


def test_an_unknown_family_lists_those_that_exist(folder):
    configure(folder, model_type="mamba")
    with pytest.raises(ValueError, match=r"model_type is 'mamba'; zojax\.models has .*opt"):
        from_pretrained(folder)


@pytest.mark.parametrize("path", ["./nowhere", "/no/such/folder", "a/b/c", "with space"])
def test_a_path_that_cannot_be_an_id_never_reaches_the_hub(path):
    with pytest.raises(FileNotFoundError, match="is not a folder here, and it cannot be the id"):
        from_pretrained(path)
