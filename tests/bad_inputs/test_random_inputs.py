"""Whatever stands in a file, it is read or refused with a ValueError: nothing else is raised."""

import contextlib
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.tasks import load_task
from experiments.tasks._read import SUFFIXES
from tests.bad_inputs.configs import MODELS, OPT
from zojax import lora, models
from zojax.models import _fields, _files, _heads

FAMILIES = {
    json.loads(path.read_text())["model_type"]: json.loads(path.read_text())
    for path in [OPT / "config.json", *sorted((MODELS / "stored").glob("*/config.json"))]
}
# What the files of other versions have, besides the settings of each family.
OTHERS = [
    "architectures",
    "id2label",
    "num_labels",
    "quantization_config",
    "rope_scaling",
    "labels",
]
NUMBERS = st.sampled_from([0, -1, 1, 2, 3, 2**31, 10**18, 0.5, 1e300, float("nan"), float("inf")])
NAMES = ["", "1", "\ud800", "a", "llama3", "yarn", "longrope", "full_attention"]
LEAVES = st.none() | st.booleans() | NUMBERS | st.sampled_from(NAMES)
KEYS = st.sampled_from(
    [
        *("0", "1", "text", "label"),
        *("type", "rope_type", "factor", "rope_theta", "full_attention", "sliding_attention"),
    ]
)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x, max_size=3), max_leaves=6
)
quickly = settings(deadline=None, derandomize=True, database=None)


@contextlib.contextmanager
def read_or_refused():
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore", UserWarning)
        yield


def test_every_family_has_a_config_here():
    assert FAMILIES.keys() == models.families().keys()


def test_every_family_says_how_many_layers_it_has():
    """Which is compared with the tensors before layers get names; 10⁸ would take minutes."""
    for family, config in FAMILIES.items():
        depths = _fields.depths(models.families()[family].config_class.from_dict(config))
        assert set(depths.values()) == {
            config.get("num_hidden_layers") or config.get("n_layer") or config["n_layers"]
        }


@pytest.mark.parametrize("family", FAMILIES)
@quickly
@given(st.data())
def test_any_config(family, data):
    config = FAMILIES[family]
    names = st.sampled_from(sorted({*config, *OTHERS} - {"model_type"}))
    changes = data.draw(st.dictionaries(names, JSON, min_size=1, max_size=2))
    of_family = models.families()[family]
    with read_or_refused():
        _heads.of_checkpoint(of_family.architectures, config | changes)
        read = of_family.config_class.from_dict(config | changes)
        assert of_family.config_class.from_dict(json.loads(json.dumps(read.to_dict()))) == read
        hash(read)


@quickly
@given(st.data())
def test_any_byte_of_a_file_of_weights(data):
    content = bytearray((OPT / "model.safetensors").read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    place = data.draw(st.integers(0, header - 1))
    content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([header, len(content) - 1, len(content)]))]
    with tempfile.TemporaryDirectory() as folder, read_or_refused():
        (Path(folder) / "model.safetensors").write_bytes(content)
        for tensor in _files.open_tensors(Path(folder)).values():
            assert not tensor.is_floating or tensor.whole().shape == tensor.shape


@quickly
@given(JSON)
def test_any_index(content):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(OPT / "model.safetensors", Path(folder) / "a")
        (Path(folder) / "model.safetensors.index.json").write_text(json.dumps(content))
        with read_or_refused(), contextlib.suppress(FileNotFoundError):
            _files.open_tensors(Path(folder))


@quickly
@given(
    st.dictionaries(st.sampled_from(["r", "lora_alpha", "use_rslora", "bias", "peft_type"]), JSON)
)
def test_any_config_of_an_adapter(content):
    with read_or_refused():
        lora._peft_load._rank_and_scale(content, Path("adapter_config.json"))


@settings(quickly, max_examples=300)
@given(st.lists(st.dictionaries(st.sampled_from(["text", "label", "options"]), JSON), min_size=3))
def test_any_rows(records):
    with tempfile.TemporaryDirectory() as folder, read_or_refused():
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        load_task(str(path))


TEXT = st.text(st.sampled_from('{}[]":,textlabel01\\ud8\n\r\t\'" \ufeff\u2028é'))


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != ".parquet"])
@quickly
@given(st.binary() | TEXT.map(lambda text: text.encode()))
def test_any_file_of_rows(suffix, content):
    with tempfile.TemporaryDirectory() as folder, read_or_refused():
        path = Path(folder) / f"rows{suffix}"
        path.write_bytes(content)
        load_task(str(path))
