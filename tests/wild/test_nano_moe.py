"""MeZO on the decoder with experts of nano-moe-jax."""

import pytest
from nano_moe_models import nano_moe
from wild_checks import (
    check_large_leaves_stay_lazy,
    check_lazy_is_plain,
    check_peaks,
    check_training_lowers_the_loss,
)
from wild_model import PROVING, TINY

pytest.importorskip("nano_moe", reason="needs nano-moe-jax, see the extra `wild`")
pytestmark = pytest.mark.slow


def test_the_lazy_loss_is_the_plain_one():
    check_lazy_is_plain(nano_moe(TINY))


def test_no_large_leaf_is_drawn_whole():
    check_large_leaves_stay_lazy(nano_moe(PROVING._replace(layers=1)))


def test_training_lowers_the_loss():
    check_training_lowers_the_loss(nano_moe(TINY), 3e-3)


def test_a_step_holds_what_inference_holds():
    check_peaks(nano_moe(PROVING))
