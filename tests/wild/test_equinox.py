"""MeZO on models made of the layers of equinox."""

import pytest
from equinox_models import equinox_mlp, equinox_transformer
from wild_checks import (
    check_large_leaves_stay_lazy,
    check_lazy_is_plain,
    check_peaks,
    check_training_lowers_the_loss,
)
from wild_model import PROVING, TINY

pytest.importorskip("equinox", reason="needs equinox, see the extra `wild`")
pytestmark = pytest.mark.slow

of_each_model = pytest.mark.parametrize(
    "make", [equinox_transformer, equinox_mlp], ids=lambda make: make.__name__
)


@of_each_model
def test_the_lazy_loss_is_the_plain_one(make):
    check_lazy_is_plain(make(TINY))


@of_each_model
def test_no_large_leaf_is_drawn_whole(make):
    check_large_leaves_stay_lazy(make(PROVING._replace(layers=1)))


@pytest.mark.parametrize(
    ("make", "learning_rate"),
    [(equinox_transformer, 3e-3), (equinox_mlp, 3e-2)],
    ids=["equinox_transformer", "equinox_mlp"],
)
def test_training_lowers_the_loss(make, learning_rate):
    check_training_lowers_the_loss(make(TINY), learning_rate)


def test_a_step_holds_what_inference_holds():
    """Not of the MLP: it has 2 MB, and what is that small is not cut into blocks."""
    check_peaks(equinox_transformer(PROVING))
