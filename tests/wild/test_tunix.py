"""MeZO on Qwen3, Qwen3 with experts, and Llama 3 of google-tunix."""

import importlib.util

import pytest
from tunix_models import llama3, qwen3, qwen3_moe
from wild_checks import (
    check_large_leaves_stay_lazy,
    check_lazy_is_plain,
    check_peak,
    check_training_lowers_the_loss,
)
from wild_model import PROVING, TINY

pytest.importorskip("jaxtyping", reason="needs jaxtyping, which google-tunix imports")
# Looked for, not imported: its package imports trainers, and what they need.
if importlib.util.find_spec("tunix") is None:
    pytest.skip("needs google-tunix, see the extra `wild`", allow_module_level=True)

# Its code uses names that jax and flax are about to drop.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODELS = [qwen3, qwen3_moe, llama3]
of_each_model = pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)


@of_each_model
def test_the_lazy_loss_is_the_plain_one(make):
    check_lazy_is_plain(make(TINY))


@pytest.mark.parametrize("law", ["gaussian", "rank 1"])
@of_each_model
def test_no_large_leaf_is_drawn_whole(make, law):
    check_large_leaves_stay_lazy(make(PROVING._replace(layers=1)), law)


@of_each_model
def test_training_lowers_the_loss(make):
    check_training_lowers_the_loss(make(TINY), 3e-3)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["gaussian", "rank 1", "rank 4"])
@pytest.mark.parametrize("make", [qwen3, llama3], ids=lambda make: make.__name__)
def test_a_step_holds_what_inference_holds(make, law):
    """Their attention kernels have an axis for the heads."""
    check_peak(make(PROVING), law)


@pytest.mark.slow
def test_a_step_with_experts_holds_what_inference_holds():
    check_peak(qwen3_moe(PROVING), "gaussian")
