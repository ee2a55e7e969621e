"""MeZO on Mamba 2 of mamba2-jax."""

import pytest
from mamba2_models import mamba2
from wild_checks import (
    check_large_leaves_stay_lazy,
    check_lazy_is_plain,
    check_peaks,
    check_training_lowers_the_loss,
)
from wild_model import PROVING, TINY

pytest.importorskip("mamba2_jax", reason="needs mamba2-jax, see the extra `wild`")
pytestmark = pytest.mark.slow


def test_the_lazy_loss_is_the_plain_one():
    check_lazy_is_plain(mamba2(TINY))


def test_no_large_leaf_is_drawn_whole():
    check_large_leaves_stay_lazy(mamba2(PROVING._replace(layers=1)))


def test_training_lowers_the_loss():
    check_training_lowers_the_loss(mamba2(TINY), 3e-3)


def test_a_step_holds_what_inference_holds():
    check_peaks(mamba2(PROVING))
