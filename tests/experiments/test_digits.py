"""The digits experiment in its quick form: what it compares is comparable."""

import numpy as np
import pytest

from experiments import digits
from experiments._digits_run import halves
from experiments._digits_settings import GRIDS


@pytest.fixture(scope="module")
def rows():
    before = digits.RESULTS.read_bytes()
    rows = digits.main(digits.Settings(quick=True))
    assert digits.RESULTS.read_bytes() == before
    return rows


def of(rows, table, method=None):
    return [row for row in rows if row["table"] == table and method in (None, row.get("method"))]


def test_every_run_has_as_many_evaluations_as_stated(rows):
    """As the optimizers count them, which tests/contract compares with calls of the loss."""
    runs = of(rows, "search") + of(rows, "final")
    assert len(runs) == 2 * (6 + 3)
    assert {run["loss_evaluations"] for run in runs} == {18}


@pytest.mark.parametrize("method", digits.METHODS)
def test_the_learning_rate_is_that_of_the_least_validation_loss(rows, method):
    search = of(rows, "search", method)
    assert [run["learning_rate"] for run in search] == list(GRIDS[method])
    assert not any("test_loss" in run for run in search)
    best = search[int(np.argmin([run["validation_loss"] for run in search]))]
    finals = of(rows, "final", method)
    assert {run["learning_rate"] for run in finals} == {best["learning_rate"]}
    assert [run["seed"] for run in finals] == [0, 1, 2]
    assert best["seed"] not in (0, 1, 2)
    assert len({run["test_loss"] for run in finals}) == 3


def test_the_summary_has_the_mean_and_the_spread(rows):
    for row in of(rows, "summary"):
        values = [run["test_loss"] for run in of(rows, "final", row["method"])]
        assert row["test_loss"] == pytest.approx(np.mean(values))
        assert row["test_loss_deviation"] == pytest.approx(np.std(values, ddof=1))
    # From a classifier of zeros: ln 5, and the same answer to every image.
    (start,) = of(rows, "start")
    assert start["test_loss"] == pytest.approx(np.log(5), rel=1e-5)
    assert start["test_accuracy"] == pytest.approx(0.2, abs=0.03)


def test_the_verdict_follows_from_the_means(rows):
    (verdict,) = of(rows, "verdict")
    mezo, zo_muon = of(rows, "summary", "mezo")[0], of(rows, "summary", "zo_muon")[0]
    better = zo_muon["test_accuracy"] > mezo["test_accuracy"]
    better &= zo_muon["test_loss"] < mezo["test_loss"]
    assert verdict["pass"] == better
    assert "at 18 evaluations" in verdict["text"]


def test_the_halves_are_other_digits_and_the_splits_other_images():
    first, second = halves()
    sizes = [[len(half[name].labels) for name in half] for half in (first, second)]
    assert sizes == [[540, 135, 226], [537, 135, 224]]
    rows = [tuple(image.ravel()) for split in second.values() for image in np.asarray(split.images)]
    assert len(set(rows)) == len(rows)
    for half in (first, second):
        for split in half.values():
            assert split.images.shape[1:] == (1, 8, 8)
            assert np.asarray(split.images).min() == -1
            shares = np.bincount(split.labels, minlength=5) / len(split.labels)
            np.testing.assert_allclose(shares, 0.2, atol=0.02)


def test_evaluations_that_a_method_cannot_have_are_named():
    with pytest.raises(ValueError, match="multiple of 9, what a step of zo_muon needs"):
        digits.Settings(evaluations=1000)
