"""Weight decay by the paths of weights."""

import jax
import pytest
from flax import nnx

from experiments._decay_mask import decay_mask
from experiments.finetune import Settings
from zojax import models

TREE = {"norm": {"scale": 1.0, "bias": 2.0}, "mlp": {"kernel": 3.0, "rescale": 4.0}}


def test_biases_and_scales_of_norms_are_left_out_unless_others_are_named():
    kept = {"norm": {"scale": False, "bias": False}, "mlp": {"kernel": True, "rescale": True}}
    assert decay_mask(None)(TREE) == kept
    named = {"norm": {"scale": False, "bias": True}, "mlp": {"kernel": False, "rescale": True}}
    assert decay_mask(("norm/scale", "kernel"))(TREE) == named
    assert all(jax.tree.leaves(decay_mask(())(TREE)))


def test_a_name_that_fits_nothing_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"weight_decay_skip 'biases' is the end of no path .*mlp"):
        decay_mask(("biases",))(TREE)


def test_of_a_model_matrices_decay(model_folder):
    params = nnx.state(models.from_pretrained(model_folder), nnx.Param)
    mask = Settings(weight_decay=0.1).weight_decay_mask(params)
    decays = {
        jax.tree_util.keystr(path, simple=True, separator="/"): wanted
        for path, wanted in jax.tree.leaves_with_path(mask)
    }
    assert set(decays.values()) == {True, False}
    for path, wanted in decays.items():
        assert wanted == any(name in path for name in ("kernel", "embedding")), path
