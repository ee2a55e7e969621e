"""MeZO on Qwen3, Qwen3 with experts, and Llama 3 of google-tunix."""

import importlib.util

import pytest
from tunix_models import llama3, qwen3, qwen3_moe
from wild_checks import (
    check_large_leaves_stay_lazy,
    check_lazy_is_plain,
    check_peaks,
    check_training_lowers_the_loss,
)
from wild_model import PROVING, TINY

pytest.importorskip("jaxtyping", reason="needs jaxtyping, which google-tunix imports")
# Looked for, not imported: its package imports trainers, and what they need.
if importlib.util.find_spec("tunix") is None:
    pytest.skip("needs google-tunix, see the extra `wild`", allow_module_level=True)

# Its code uses names that jax and flax are about to drop.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MODELS = [qwen3, qwen3_moe, llama3]
of_each_model = pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)


@of_each_model
def test_the_lazy_loss_is_the_plain_one(make):
    check_lazy_is_plain(make(TINY))


@of_each_model
def test_no_large_leaf_is_drawn_whole(make):
    check_large_leaves_stay_lazy(make(PROVING._replace(layers=1)))


@of_each_model
def test_training_lowers_the_loss(make):
    check_training_lowers_the_loss(make(TINY), 3e-3)


@of_each_model
def test_a_step_holds_what_inference_holds(make):
    """Experts are the largest leaf, a fourth of a model of four layers, so that one has more."""
    check_peaks(make(PROVING._replace(layers=8) if make is qwen3_moe else PROVING))
