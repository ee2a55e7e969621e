"""MeZO on a transformer and a ResNet of dm-haiku."""

import pytest
from haiku_models import haiku_resnet, haiku_transformer
from wild_checks import (
    check_large_leaves_stay_lazy,
    check_lazy_is_plain,
    check_peaks,
    check_training_lowers_the_loss,
)
from wild_model import PROVING, TINY

pytest.importorskip("haiku", reason="needs dm-haiku, see the extra `wild`")
pytestmark = pytest.mark.slow

of_each_model = pytest.mark.parametrize(
    "make", [haiku_transformer, haiku_resnet], ids=lambda make: make.__name__
)


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
    check_peaks(make(PROVING))
