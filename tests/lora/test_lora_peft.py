"""Adapters go through PEFT's files and come back; what cannot be read is refused by name."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from zojax import lora
from zojax.lora import _peft
from zojax.models import OPT

Q_PROJ = "base_model.model.model.decoder.layers.1.self_attn.q_proj"


@pytest.fixture(scope="module")
def stored(adapted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    lora.save_peft(adapted, folder, base_model="facebook/opt-125m")
    return folder


@pytest.fixture
def folder(stored, tmp_path):
    """A copy of the stored adapter, free to be damaged."""
    return shutil.copytree(stored, tmp_path / "adapter")


def configure(folder, **settings):
    path = folder / _peft.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def rewrite(folder, change):
    path = folder / _peft.WEIGHTS
    save_file(change(load_file(path)), path)


def assert_same_adapters(left, right):
    left, right = (nnx.to_pure_dict(nnx.state(model, nnx.LoRAParam)) for model in (left, right))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), left, right)


def test_an_adapter_that_is_saved_loads_bit_for_bit(model, adapted, stored):
    again = lora.load_peft(model, stored)
    assert nnx.graphdef(again) == nnx.graphdef(adapted)
    assert_same_adapters(again, adapted)
    assert again.layers.fc1.kernel[...] is model.layers.fc1.kernel[...]


def test_a_loaded_adapter_merges_and_saves_as_before(model, adapted, stored, tmp_path):
    again = lora.load_peft(model, stored)
    merged = [nnx.to_pure_dict(nnx.state(lora.merge(m))) for m in (adapted, again)]
    jax.tree.map(np.testing.assert_array_equal, *merged)
    lora.save_peft(again, tmp_path / "new" / "folder", base_model="facebook/opt-125m")
    for name in (_peft.CONFIG, _peft.WEIGHTS):
        assert (tmp_path / "new/folder" / name).read_bytes() == (stored / name).read_bytes()


def test_the_files_are_laid_out_as_peft_lays_them_out(adapted, stored):
    """One (rank, in) and one (out, rank) a layer: the transposes of our slices."""
    tensors = load_file(stored / _peft.WEIGHTS)
    names = {
        f"base_model.model.model.decoder.layers.{layer}.self_attn.{module}.lora_{side}.weight"
        for layer in (0, 1)
        for module in ("q_proj", "v_proj")
        for side in "AB"
    }
    assert tensors.keys() == names
    q_proj = adapted.layers.self_attn.q_proj
    np.testing.assert_array_equal(tensors[f"{Q_PROJ}.lora_A.weight"], q_proj.lora_a[1].T)
    np.testing.assert_array_equal(tensors[f"{Q_PROJ}.lora_B.weight"], q_proj.lora_b[1].T)
    assert tensors[f"{Q_PROJ}.lora_A.weight"].shape == (3, 8)
    config = json.loads((stored / _peft.CONFIG).read_text())
    expected = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "facebook/opt-125m",
        "r": 3,
        "lora_alpha": 6,
        "target_modules": ["q_proj", "v_proj"],
        "bias": "none",
    }
    assert expected.items() <= config.items()


def test_a_scale_that_is_no_fraction_of_the_rank_comes_back(model, tmp_path):
    changed = lora.adapt(model, "fc1", rank=7, scale=0.3, key=jax.random.key(0))
    lora.save_peft(changed, tmp_path)
    np.testing.assert_allclose(lora.load_peft(model, tmp_path).layers.fc1.scale, 0.3, rtol=1e-15)


def test_bfloat16_adapters_keep_their_bits_in_the_file(model, tmp_path):
    key = jax.random.key(0)
    changed = lora.adapt(model, "fc1", rank=2, scale=1.0, key=key, dtype=jnp.bfloat16)
    lora.save_peft(changed, tmp_path)
    assert_same_adapters(lora.load_peft(model, tmp_path, dtype=jnp.bfloat16), changed)
    loaded = lora.load_peft(model, tmp_path).layers.fc1.lora_a[...]
    np.testing.assert_array_equal(loaded, np.float32(changed.layers.fc1.lora_a[...]), strict=True)


def test_whole_paths_are_stored_where_a_last_name_would_reach_too_far(model, tmp_path):
    """PEFT compares ends of paths, so a second module of that name would be adapted too."""

    class Twins(OPT):
        def __init__(self, config, *, rngs):
            super().__init__(config, rngs=rngs)
            self.fc1 = nnx.Linear(8, 8, rngs=rngs)

    twins = Twins(model.config, rngs=nnx.Rngs(0))
    changed = lora.adapt(twins, "layers.fc1", rank=2, scale=1.0, key=jax.random.key(0))
    lora.save_peft(changed, tmp_path)
    targets = json.loads((tmp_path / _peft.CONFIG).read_text())["target_modules"]
    assert targets == ["model.decoder.layers.0.fc1", "model.decoder.layers.1.fc1"]
    assert_same_adapters(lora.load_peft(twins, tmp_path), changed)


def test_the_scale_of_a_file_is_alpha_over_the_rank_or_its_root(model, folder):
    configure(folder, lora_alpha=12, use_rslora=True)
    np.testing.assert_allclose(
        lora.load_peft(model, folder).layers.self_attn.q_proj.scale, 12 / np.sqrt(3)
    )
    configure(folder, use_rslora=False)
    assert lora.load_peft(model, folder).layers.self_attn.q_proj.scale == 4.0


def test_settings_that_change_nothing_are_read_past(model, adapted, folder):
    """Among them those that newer versions of PEFT may add, as long as they are off."""
    configure(folder, lora_dropout=0.1, init_lora_weights="gaussian", qalora_group_size=16)
    configure(folder, rank_pattern={}, loftq_config={}, layers_to_transform=None, novelty=False)
    assert_same_adapters(lora.load_peft(model, folder), adapted)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank_pattern": {"q_proj": 4}}, r"has rank_pattern = \{'q_proj': 4\}, which"),
        ({"alpha_pattern": {"q_proj": 4}}, "has alpha_pattern = "),
        ({"use_dora": True}, "has use_dora = True"),
        ({"bias": "lora_only"}, "has bias = 'lora_only'"),
        ({"modules_to_save": ["lm_head"]}, "has modules_to_save = "),
        ({"layers_to_transform": [0]}, "has layers_to_transform = "),
        ({"init_lora_weights": "pissa"}, "has init_lora_weights = 'pissa'"),
        ({"peft_type": "LOHA"}, "has peft_type = 'LOHA'"),
        ({"novelty": 1}, "has novelty = 1, which zojax.lora does not offer"),
        ({"r": 0}, "has r = 0 and lora_alpha = 6; both must be numbers above 0"),
        ({"r": None}, "has r = None"),
        ({"r": 2}, r"lora_A.weight has shape \(3, 8\), .* r = 2 ask for \(2, 8\)"),
        ({"r": 9}, "rank 9 is above .* 8 x 8"),
    ],
)
def test_adapters_of_other_kinds_are_refused_by_name(model, folder, settings, message):
    configure(folder, **settings)
    with pytest.raises(ValueError, match=message):
        lora.load_peft(model, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if ".1." not in k}, "lacks 4 of 8 tensors, such as"),
        (lambda t: {k: v for k, v in t.items() if "lora_B" not in k}, "lacks 4 of 8 tensors"),
        (lambda t: t | {"base_model.model.x.lora_A.weight": np.ones(1)}, "holds 1 tensors for .*x"),
        (lambda t: {}, "holds no tensors"),
    ],
)
def test_tensors_that_do_not_fit_are_named(model, folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message):
        lora.load_peft(model, folder)


def test_missing_and_damaged_files_are_named(model, folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no adapter_config\.json"):
        lora.load_peft(model, tmp_path)
    (folder / _peft.WEIGHTS).write_bytes(b"")
    with pytest.raises(ValueError, match=r"safetensors is damaged"):
        lora.load_peft(model, folder)
    (folder / _peft.WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=r"adapter_model\.bin has to be saved again"):
        lora.load_peft(model, folder)
    (folder / _peft.CONFIG).write_text("[]")
    with pytest.raises(ValueError, match="must hold a JSON object, not a list"):
        lora.load_peft(model, folder)
    (folder / _peft.CONFIG).write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        lora.load_peft(model, folder)


def test_models_that_cannot_be_stored_are_named(model, adapted, stored, tmp_path):
    with pytest.raises(ValueError, match="OPT has no adapters"):
        lora.save_peft(model, tmp_path)
    with pytest.raises(ValueError, match="already has adapters"):
        lora.load_peft(adapted, stored)
    layer = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="Linear has no checkpoint_format"):
        lora.load_peft(layer, stored)
    changed = lora.adapt(layer, "*", rank=1, scale=1.0, key=jax.random.key(0))
    with pytest.raises(TypeError, match="has no checkpoint_format"):
        lora.save_peft(changed, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_model_with_adapters_is_not_saved_as_if_it_had_none(adapted, tmp_path):
    with pytest.raises(ValueError, match=r"has adapters.*lora\.merge\(model\)"):
        adapted.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
