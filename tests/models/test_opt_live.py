"""OPT against `transformers` with torch, on fresh weights: both ways through the files."""

import json

import jax.numpy as jnp
import make_opt_fixtures as reference
import numpy as np
import pytest
from flax import nnx

from zojax.models import OPT, OPTConfig, _save, from_pretrained

torch = pytest.importorskip(
    "torch", reason="compares with PyTorch as it runs; test_opt.py has stored outputs"
)
transformers = pytest.importorskip("transformers")

PARITY = {"atol": 1e-4, "rtol": 0}
variants = pytest.mark.parametrize("variant", reference.VARIANTS)


def assert_same_outputs(ours, theirs):
    ids, masks = reference.inputs(seed=7)
    run = nnx.jit(lambda model, mask: model(jnp.asarray(ids), mask))
    for mask in masks.values():
        logits, _ = reference.reference(theirs, ids, mask)
        np.testing.assert_allclose(run(ours, jnp.asarray(mask)), logits, **PARITY)


def load_theirs(folder, **kwargs):
    """Loads as a user would, and requires that every tensor found its place."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True, **kwargs
    )
    assert isinstance(model, transformers.OPTForCausalLM)
    assert not any(info.values()), info
    return model.eval()


@variants
@pytest.mark.parametrize("seed", [100, 101])
def test_we_read_what_transformers_writes(variant, seed, tmp_path):
    theirs = reference.random_model(reference.VARIANTS[variant], seed)
    theirs.save_pretrained(tmp_path)
    assert_same_outputs(from_pretrained(tmp_path), theirs)


@variants
def test_transformers_reads_what_we_write(variant, tmp_path):
    config = OPTConfig.from_dict(reference.COMMON | reference.VARIANTS[variant])
    model = OPT(config, rngs=nnx.Rngs(0))
    model.save_pretrained(tmp_path)
    assert_same_outputs(model, load_theirs(tmp_path))


def test_transformers_reads_our_shards(tmp_path):
    model = OPT(OPTConfig.from_dict(reference.COMMON), rngs=nnx.Rngs(0))
    _save.save(model, tmp_path, shard_bytes=4000)
    assert_same_outputs(model, load_theirs(tmp_path))


def test_transformers_keeps_our_bfloat16(tmp_path):
    """Parity is measured in float32, to which both sides convert the same bfloat16 weights."""
    config = OPTConfig.from_dict(reference.COMMON)
    OPT(config, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)).save_pretrained(tmp_path)
    assert load_theirs(tmp_path).dtype == torch.bfloat16
    assert_same_outputs(from_pretrained(tmp_path), load_theirs(tmp_path, dtype=torch.float32))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("layout", ["zip", "before torch 1.6", "sharded"])
def test_pytorch_files_equal_safetensors(dtype, layout, tmp_path):
    theirs = reference.random_model({}, 5).to(getattr(torch, dtype))
    theirs.save_pretrained(tmp_path)
    expected = nnx.state(from_pretrained(tmp_path), nnx.Param)
    (tmp_path / "model.safetensors").unlink()
    write_pytorch(theirs.state_dict(), tmp_path, layout)
    found = nnx.state(from_pretrained(tmp_path, allow_pickle=True), nnx.Param)
    for (path, left), (_, right) in zip(
        nnx.to_flat_state(expected), nnx.to_flat_state(found), strict=True
    ):
        np.testing.assert_array_equal(left[...], right[...], err_msg=str(path))


def test_a_damaged_pytorch_file_is_named(tmp_path):
    reference.random_model({}, 5).config.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is damaged, or a Git LFS pointer"):
        from_pretrained(tmp_path, allow_pickle=True)


def write_pytorch(state, folder, layout):
    file = folder / "pytorch_model.bin"
    if layout != "sharded":
        torch.save(state, file, _use_new_zipfile_serialization=layout == "zip")
        return
    places = {name: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, name in enumerate(state)}
    for shard in set(places.values()):
        torch.save({n: t for n, t in state.items() if places[n] == shard}, folder / shard)
    file.with_suffix(".bin.index.json").write_text(json.dumps({"weight_map": places}))
