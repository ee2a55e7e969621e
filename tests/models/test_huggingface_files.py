"""Every file format gives the same model, and what we write is what `transformers` writes."""

import json
import shutil

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx, serialization, traverse_util
from safetensors.numpy import load_file, save_file
from stored_checkpoints import (
    FIXTURES,
    VARIANTS,
    WEIGHTS,
    as_flax_tree,
    assert_equal,
    rewrite,
    shard,
)

from zojax.models import OPT, OPTConfig, _save, from_pretrained


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_a_saved_model_loads_bit_for_bit(variant, dtype, tmp_path):
    model = from_pretrained(FIXTURES / variant, dtype=dtype)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path, dtype=dtype)
    assert_equal(model, again)
    assert again.config == model.config


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_file_holds_the_tensors_of_transformers(variant, tmp_path):
    """Names, shapes, dtypes and values; the fixture was written by transformers itself."""
    from_pretrained(FIXTURES / variant).save_pretrained(tmp_path)
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(FIXTURES / variant / WEIGHTS)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], strict=True)
    config = json.loads((tmp_path / "config.json").read_text())
    stored = json.loads((FIXTURES / variant / "config.json").read_text())
    assert config.pop("torch_dtype") == stored["dtype"]
    assert config.items() <= stored.items()


def test_shards_hold_the_same_model_and_replace_an_older_save(folder):
    model = from_pretrained(folder)
    _save.save(model, folder, shard_bytes=4000)
    shards = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(shards) > 2
    assert WEIGHTS not in shards
    assert all((folder / name).stat().st_size < 8000 for name in shards)
    assert_equal(from_pretrained(folder), model)
    model.save_pretrained(folder)
    assert [path.name for path in folder.glob("*.safetensors*")] == [WEIGHTS]


def test_sharded_safetensors_equal_one_file(folder):
    whole = from_pretrained(folder)
    arrays = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    shard(folder, arrays, WEIGHTS, save_file)
    assert_equal(from_pretrained(folder), whole)


@pytest.mark.parametrize("variant", VARIANTS)
def test_flax_msgpack_equals_safetensors(variant, tmp_path):
    folder = shutil.copytree(FIXTURES / variant, tmp_path / "checkpoint")
    whole = from_pretrained(folder)
    tree = as_flax_tree(load_file(folder / WEIGHTS))
    (folder / WEIGHTS).unlink()
    (folder / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(tree))
    assert_equal(from_pretrained(folder), whole)


def test_sharded_flax_msgpack_equals_one_file(folder):
    whole = from_pretrained(folder)
    flat = traverse_util.flatten_dict(as_flax_tree(load_file(folder / WEIGHTS)), sep="/")
    (folder / WEIGHTS).unlink()

    def write(part, path):
        tree = traverse_util.unflatten_dict(part, sep="/")
        path.write_bytes(serialization.msgpack_serialize(tree))

    shard(folder, flat, "flax_model.msgpack", write)
    assert_equal(from_pretrained(folder), whole)


@pytest.mark.parametrize("stored", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_half_precision_files_are_cast_once(folder, stored, dtype):
    rewrite(folder, lambda tensors: {n: a.astype(stored) for n, a in tensors.items()})
    bias = load_file(folder / WEIGHTS)["model.decoder.layers.1.fc1.bias"]
    loaded = from_pretrained(folder, dtype=dtype).layers.fc1.bias[1]
    np.testing.assert_array_equal(loaded, bias.astype(dtype), strict=True)


@pytest.mark.parametrize("addition", [[], ["decoder.version"]])
def test_names_without_the_prefix_are_the_same_tensors(folder, addition):
    """Files of the bare decoder lack `model.`; the oldest also hold a version number."""
    whole = from_pretrained(folder)
    rewrite(
        folder,
        lambda tensors: (
            {name.removeprefix("model."): array for name, array in tensors.items()}
            | {name: np.zeros(1) for name in addition}
        ),
    )
    assert_equal(from_pretrained(folder), whole)


@pytest.mark.parametrize("with_table", [True, False])
def test_a_tied_head_may_repeat_the_table_or_stand_for_it(folder, with_table):
    whole, table = from_pretrained(folder), "model.decoder.embed_tokens.weight"

    def change(tensors):
        head = {"lm_head.weight": tensors[table].copy()}
        return head | {n: a for n, a in tensors.items() if with_table or n != table}

    rewrite(folder, change)
    assert_equal(from_pretrained(folder), whole)


def test_from_the_hub_one_format_is_fetched(folder, monkeypatch):
    """The first request asks for safetensors, and is the last where the model has them."""
    requests = []

    def snapshot_download(model_id, allow_patterns):
        requests.append((model_id, allow_patterns))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert_equal(from_pretrained("owner/model"), from_pretrained(folder))
    assert requests == [("owner/model", ["config.json", "model*.safetensors*"])]


def test_the_links_of_the_hubs_cache_are_followed(folder, tmp_path):
    """Snapshots hold links to files that lie beside them, and the cache may be a link itself."""
    repository = tmp_path / "disk" / "models--owner--model"
    snapshot = repository / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for name in ("config.json", WEIGHTS):
        (repository / "blobs" / f"hash-{name}").write_bytes((folder / name).read_bytes())
        (snapshot / name).symlink_to(f"../../blobs/hash-{name}")
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    whole = from_pretrained(folder)
    assert_equal(from_pretrained(snapshot), whole)
    assert_equal(
        from_pretrained(tmp_path / "cache" / snapshot.relative_to(tmp_path / "disk")), whole
    )
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to(folder / WEIGHTS)
    with pytest.raises(ValueError, match=f"leads to {folder / WEIGHTS}, outside of the checkpoint"):
        from_pretrained(snapshot)


def test_a_link_within_the_folder_is_followed(folder):
    whole = from_pretrained(folder)
    (folder / WEIGHTS).rename(folder / "weights-of-today")
    (folder / WEIGHTS).symlink_to("weights-of-today")
    assert_equal(from_pretrained(folder), whole)


def test_a_new_model_round_trips(tmp_path):
    sizes = {"vocab_size": 32, "hidden_size": 8, "ffn_dim": 16, "num_hidden_layers": 2}
    config = OPTConfig(**sizes, num_attention_heads=2, eos_token_id=[2, 3])
    model = OPT(config, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    model.save_pretrained(tmp_path / "not" / "there" / "yet")
    again = from_pretrained(tmp_path / "not/there/yet", dtype=jnp.bfloat16)
    assert_equal(again, model)
    assert again.config == config
