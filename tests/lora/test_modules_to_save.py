"""A classifier that is trained beside an adapter, in the files of PEFT."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from zojax import lora, prefix
from zojax.models import BERT, OPT, BERTConfig, OPTConfig

IDS = jnp.array([[5, 6, 7, 8]])
SIZES = {"vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}


def bert(seed):
    config = BERTConfig(**SIZES, intermediate_size=16)
    return BERT(config, head="classifier", rngs=nnx.Rngs(seed))


def opt(seed):
    config = OPTConfig(**SIZES, ffn_dim=16, max_position_embeddings=16)
    return OPT(config, head="classifier", rngs=nnx.Rngs(seed))


def with_head_of(model, other):
    """The model with the classifier of another."""
    new = nnx.clone(model)
    for module in model.checkpoint_format.new:
        setattr(new, module, getattr(other, module))
    return new


@pytest.fixture(params=["lora", "prefix"])
def trained(request, key):
    """A model, its files, and the same with the classifier and adapter that the files hold."""
    if request.param == "lora":
        model, other = bert(0), bert(1)
        adapted = lora.adapt(with_head_of(model, other), "query", rank=2, scale=2.0, key=key)
        nnx.update(adapted, jax.tree.map(lambda a: a + 0.1, nnx.state(adapted, nnx.LoRAParam)))
        return model, adapted, lora.save_peft, lora.load_peft
    model, other = opt(0), opt(1)
    adapted = prefix.adapt(with_head_of(model, other), tokens=[4, 5])
    return model, adapted, prefix.save_peft, prefix.load_peft


def test_a_classifier_comes_back_with_its_adapter(trained, tmp_path):
    model, adapted, save, load = trained
    before = model(IDS)
    save(adapted, tmp_path, modules_to_save=model.checkpoint_format.new)
    back = load(model, tmp_path)
    np.testing.assert_array_equal(back(IDS), adapted(IDS))
    np.testing.assert_array_equal(model(IDS), before)
    assert np.abs(before - adapted(IDS)).max() > 1e-3
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["modules_to_save"] == list(model.checkpoint_format.new)
    assert config["task_type"] == "SEQ_CLS"


def test_without_it_the_files_hold_the_adapter_alone(trained, tmp_path):
    model, adapted, save, load = trained
    save(adapted, tmp_path)
    back = load(model, tmp_path)
    module = model.checkpoint_format.new[0]
    np.testing.assert_array_equal(
        getattr(back, module).kernel[...], getattr(model, module).kernel[...]
    )
    assert json.loads((tmp_path / "adapter_config.json").read_text())["modules_to_save"] is None


def test_files_that_do_not_fit_are_refused(trained, tmp_path):
    model, adapted, save, load = trained
    with pytest.raises(
        ValueError, match=r"modules_to_save names 'lm_head', but of .* can be saved"
    ):
        save(adapted, tmp_path, modules_to_save=("lm_head",))
    save(adapted, tmp_path, modules_to_save=model.checkpoint_format.new)
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    (weight,) = (
        n for n in tensors if n.endswith(("model.score.weight", "model.classifier.weight"))
    )
    save_file(tensors | {weight: tensors[weight][:1]}, file)
    with pytest.raises(
        ValueError, match=r"has shape \(1, 8\), but the model given asks for \(2, 8\)"
    ):
        load(model, tmp_path)
    save_file({name: tensors[name] for name in tensors if name != weight}, file)
    with pytest.raises(ValueError, match=r"lacks base_model\..*, but holds|names score in modules"):
        load(model, tmp_path)
    save_file(tensors | {"base_model.model.lm_head.weight": tensors[weight]}, file)
    with pytest.raises(ValueError, match=r"base_model\.model\.lm_head\.weight"):
        load(model, tmp_path)


def test_a_classifier_is_saved_whole_or_adapted(key, tmp_path):
    adapted = lora.adapt(bert(0), "pooler.dense", rank=2, scale=2.0, key=key)
    with pytest.raises(ValueError, match=r"inside it pooler\.dense has an adapter as well"):
        lora.save_peft(adapted, tmp_path, modules_to_save=("classifier", "pooler"))
