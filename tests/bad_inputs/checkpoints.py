"""Weights of a checkpoint that are damaged, of another kind, or not there at all."""

import json
import os
import pickle
import shutil

import ml_dtypes
import numpy as np
from safetensors.numpy import load_file, save_file

from tests.bad_inputs.case import BadInput
from tests.bad_inputs.configs import BERT, OPT
from zojax import models

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TABLE = "model.decoder.embed_tokens.weight"


def _case(name, change, message, **arguments):
    """A copy of a stored OPT after `change(folder)`."""

    def prepare(folder):
        model = folder / "model"
        shutil.copytree(OPT, model)
        change(model)
        return lambda: models.from_pretrained(model, **arguments)

    return BadInput(f"checkpoint: {name}", prepare, message)


def _index(content):
    def change(model):
        (model / WEIGHTS).rename(model / "shard.safetensors")
        text = content if isinstance(content, str) else json.dumps(content)
        (model / INDEX).write_text(text)

    return change


def _moved_out(model):
    """The weights lie beside the folder; nothing is there."""
    (model / WEIGHTS).rename(model.parent / WEIGHTS)


def _linked(name):
    def change(model):
        (model / name).rename(model.parent / name)
        (model / name).symlink_to(os.path.join("..", name))

    return change


def _index_out(path):
    def change(model):
        _moved_out(model)
        target = str(model.parent / WEIGHTS) if path is None else path
        (model / INDEX).write_text(json.dumps({"weight_map": {TABLE: target}}))

    return change


def _folder_linked_out(model):
    """A shard in a folder of the checkpoint that is a link to elsewhere."""
    _index_out("sub/" + WEIGHTS)(model)
    (model / "sub").symlink_to("..")


def _circle(model):
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("config.json")


def _bytes(change, file=WEIGHTS):
    def rewrite(model):
        content = (model / WEIGHTS).read_bytes()
        (model / WEIGHTS).unlink()
        (model / file).write_bytes(change(content))

    return rewrite


def _tensor(change, name=TABLE):
    def rewrite(model):
        tensors = load_file(model / WEIGHTS)
        save_file({**tensors, name: change(tensors[name])}, model / WEIGHTS)

    return rewrite


def _float8(model):
    tensors = load_file(model / WEIGHTS)
    tensors[TABLE] = tensors[TABLE].astype(ml_dtypes.float8_e4m3fn)
    _write_by_hand(tensors, model / WEIGHTS)


def _write_by_hand(tensors, path):
    """As `save_file`, which knows fewer dtypes."""
    names = {"float32": "F32", "float8_e4m3fn": "F8_E4M3"}
    header, data = {}, b""
    for name, array in tensors.items():
        end = len(data) + array.nbytes
        kind = names[array.dtype.name]
        offsets = [len(data), end]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def _twice(model):
    """A tensor in two shards."""
    tensors = load_file(model / WEIGHTS)
    (model / WEIGHTS).unlink()
    save_file(tensors, model / "a.safetensors")
    save_file({TABLE: 2 * tensors[TABLE]}, model / "b.safetensors")
    places = {name: "a.safetensors" for name in tensors} | {"other": "b.safetensors"}
    (model / INDEX).write_text(json.dumps({"weight_map": places}))


def _pickle(model):
    (model / WEIGHTS).unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({}))


_DAMAGED = r"model\.safetensors is damaged, or a Git LFS pointer"
_MAP = r"index\.json: weight_map must be an object from .*, not "
_OUT = "outside of the checkpoint, and is not read; .* put a copy there"

CASES = [
    _case("index is []", _index([]), r"index\.json must hold a JSON object, not a list"),
    _case("index is {", _index("{"), r"index\.json is not JSON"),
    _case("index is empty", _index(""), r"index\.json is not JSON"),
    _case("index without a map", _index({"metadata": {}}), _MAP + "None"),
    _case("index with an empty map", _index({"weight_map": {}}), _MAP + "{}"),
    _case("index with a list for a map", _index({"weight_map": [1]}), _MAP + r"\[1\]"),
    _case("index with a number", _index({"weight_map": {"a": 7}}), _MAP + r"\{'a': 7\}"),
    _case("index with null", _index({"weight_map": {"a": None}}), _MAP + r"\{'a': None\}"),
    _case("index to ../", _index_out("../" + WEIGHTS), rf"model/\.\./{WEIGHTS} leads to .* {_OUT}"),
    _case("index to an absolute path", _index_out(None), rf"index\.json: .*leads to .* {_OUT}"),
    _case(
        "index through a linked folder", _folder_linked_out, rf"sub/{WEIGHTS} leads to .* {_OUT}"
    ),
    _case("index with a zero byte", _index({"weight_map": {"a": "a\0b"}}), "cannot be followed"),
    _case("weights are a link out", _linked(WEIGHTS), rf"{WEIGHTS} leads to .* {_OUT}"),
    _case("config is a link out", _linked("config.json"), rf"config\.json leads to .* {_OUT}"),
    _case("config is a link to itself", _circle, r"config\.json (cannot be followed|.*no config)"),
    _case("a shard is missing", _index({"weight_map": {"a": "b.x"}}), "shards that are .*: b.x"),
    _case("a tensor in two shards", _twice, rf"b\.safetensors and .*a\.safetensors both .*{TABLE}"),
    _case("no weights", _moved_out, "has no weights; looked for model.safetensors, flax"),
    _case("weights are empty", _bytes(lambda c: b""), _DAMAGED),
    _case("weights are a pointer", _bytes(lambda c: b"version https://git-lfs\n"), _DAMAGED),
    _case("weights are cut short", _bytes(lambda c: c[:-1]), _DAMAGED),
    _case("weights are cut in the header", _bytes(lambda c: c[:100]), _DAMAGED),
    _case("weights are too long", _bytes(lambda c: c + b"\0"), _DAMAGED),
    _case("a huge header is announced", _bytes(lambda c: b"\xff" * 8 + c[8:]), _DAMAGED),
    _case("weights are zeros", _bytes(lambda c: bytes(len(c))), _DAMAGED),
    _case("weights are text", _bytes(lambda c: b"weights " * 20), _DAMAGED),
    _case("msgpack is safetensors", _bytes(lambda c: c, "flax_model.msgpack"), "k is damaged, or"),
    _case("msgpack is empty", _bytes(lambda c: b"", "flax_model.msgpack"), "k is damaged, or"),
    _case(
        "msgpack is a list", _bytes(lambda c: b"\x93\x01\x02\x03", "flax_model.msgpack"), "k is d"
    ),
    _case("msgpack is nested", _bytes(lambda c: b"\x91" * 9999, "flax_model.msgpack"), "k is dam"),
    _case("nothing but a pickle", _pickle, r"pytorch_model\.bin is a pickle, .*allow_pickle=True"),
    _case("float8", _float8, rf"{WEIGHTS}: {TABLE} has dtype F8_E4M3; quantized"),
    _case("int8", _tensor(lambda t: t.astype(np.int8)), rf"{WEIGHTS}: {TABLE} has dtype I8"),
    _case("uint8", _tensor(lambda t: t.astype(np.uint8)), rf"{WEIGHTS}: {TABLE} has dtype U8"),
    _case("booleans", _tensor(lambda t: t > 0), rf"{WEIGHTS}: {TABLE} has dtype BOOL"),
    _case("transposed", _tensor(lambda t: t.T.copy()), r"has shape \(16, 40\), .*\(40, 16\)"),
    _case(
        "a number for a table",
        _tensor(lambda t: np.full((), 1, t.dtype)),
        r"has shape \(\), but .*\(40, 16\)",
    ),
    _case("an unknown head", lambda _: None, "head 'pooler' is none of", head="pooler"),
    _case("no labels", lambda _: None, "num_labels must be an integer .*, not 0", num_labels=0),
    _case(
        "an integer dtype", lambda _: None, "dtype must be a floating dtype .*int8", dtype=np.int8
    ),
    _case("a key that is a number", lambda _: None, "key must be .* got 7|key .*7", key=7),
    BadInput(
        "checkpoint: the folder is a file",
        lambda folder: lambda: models.from_pretrained(BERT / "config.json"),
        r"config\.json' is not a folder here, and it cannot be the id",
    ),
]
