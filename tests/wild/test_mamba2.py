"""MeZO on Mamba 2 of mamba2-jax."""

import pytest
from mamba2_models import mamba2
from wild_checks import (
    LAWS,
    check_large_leaves_stay_lazy,
    check_lazy_is_plain,
    check_peak,
    check_training_lowers_the_loss,
)
from wild_model import PROVING, TINY

pytest.importorskip("mamba2_jax", reason="needs mamba2-jax, see the extra `wild`")


@pytest.mark.parametrize("law", LAWS)
def test_the_lazy_loss_is_the_plain_one(law):
    check_lazy_is_plain(mamba2(TINY), law)


@pytest.mark.parametrize("law", ["gaussian", "rank 1"])
def test_no_large_leaf_is_drawn_whole(law):
    check_large_leaves_stay_lazy(mamba2(PROVING._replace(layers=1)), law)


def test_training_lowers_the_loss():
    check_training_lowers_the_loss(mamba2(TINY), 3e-3)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["gaussian", "rank 4"])
def test_a_step_holds_what_inference_holds(law):
    check_peak(mamba2(PROVING), law)
