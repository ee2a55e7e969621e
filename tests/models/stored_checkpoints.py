"""The stored checkpoints, and ways to rewrite and compare them."""

import json
from pathlib import Path

import jax
import numpy as np
from flax import nnx, traverse_util
from safetensors.numpy import load_file, save_file

FIXTURES = Path(__file__).parent / "fixtures"
VARIANTS = sorted(folder.name for folder in FIXTURES.iterdir())
WEIGHTS = "model.safetensors"


def rewrite(folder, change):
    """Replaces the tensors of a checkpoint by `change(tensors)`."""
    tensors = load_file(folder / WEIGHTS)
    save_file(change(tensors), folder / WEIGHTS)


def configure(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def assert_equal(left, right):
    left, right = (nnx.to_pure_dict(nnx.state(model, nnx.Param)) for model in (left, right))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), left, right)


def as_flax_tree(tensors):
    """The nested dictionary that Flax models of transformers 4 write."""
    flat = {}
    for name, array in tensors.items():
        *modules, leaf = name.split(".")
        if leaf == "weight":
            norm, table = "norm" in modules[-1], "embed" in modules[-1]
            leaf = "scale" if norm else "embedding" if table else "kernel"
        array = np.ascontiguousarray(array.T) if leaf == "kernel" else array
        flat[(*modules, leaf)] = array
    return traverse_util.unflatten_dict(flat)


def shard(folder, arrays, file, write):
    """Writes arrays alternately into two shards, with the index of Hugging Face."""
    stem, _, suffix = file.partition(".")
    names = [f"{stem}-0000{i}-of-00002.{suffix}" for i in (1, 2)]
    places = {name: names[i % 2] for i, name in enumerate(arrays)}
    for shard_name in names:
        part = {name: array for name, array in arrays.items() if places[name] == shard_name}
        write(part, folder / shard_name)
    (folder / f"{file}.index.json").write_text(json.dumps({"weight_map": places}))
    return names
