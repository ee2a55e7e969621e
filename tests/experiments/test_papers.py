"""The experiment on six papers: runs are counted, tuned and kept as it says."""

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import optax
import pytest

import zojax
from experiments._results import Results
from experiments.benchmarks import _report
from experiments.papers import __main__ as main
from experiments.papers.arm import Arm, Experiment, mezo
from experiments.papers.claims import HELD, NOT, OPEN, PARTLY, judged
from experiments.papers.found import Found, less
from experiments.papers.functions import function
from experiments.papers.runs import Runner
from experiments.papers.tuning import grid, tuned

SETTINGS = main.Settings(papers=("combinations",), seeds=2, half_decades=1, looks=2, rounds=1)


def forward(rate, key, steps):
    del steps
    estimate = zojax.estimate_gradient(key, zojax.gaussian(), zojax.forward(1e-2, 3))
    return optax.chain(estimate, optax.scale_by_learning_rate(rate))


ARMS = {"MeZO": mezo(1e-2), "forward": Arm(forward, 4, 1e-2), "twice": Arm(forward, 4)}
ARMS["twice"] = ARMS["twice"]._replace(rate_of=("MeZO", 2.0))


def problem():
    return function("a bowl", "Quadratic", dim=8, budget=16)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [((3.0, 1.0, math.inf), (1e-3, False)), ((1.0, 2.0, 3.0), (3.2e-4, True))],
)
def test_the_rate_of_the_least_validation_loss_is_taken(losses, expected):
    """And an end of the grid is marked."""
    rates = grid(1e-3, 1)
    assert rates == [3.2e-4, 1e-3, 3.2e-3]
    found = dict(zip(rates, losses, strict=True))
    runner = SimpleNamespace(run=lambda rate, seed: SimpleNamespace(validation=found[rate]))
    assert tuned(runner, rates) == expected


@pytest.mark.parametrize("name", ["MeZO", "forward"])
def test_all_arms_spend_the_same_number_of_evaluations(name):
    run = Runner(ARMS[name], problem(), 2).run(1e-2, 1)
    assert run.evaluations == 16
    assert [spent for spent, _ in run.curve] == [0, 8, 16]
    assert run.loss < run.curve[0][1]


def test_a_budget_that_steps_do_not_divide_is_named():
    with pytest.raises(ValueError, match="16 evaluations cannot be divided into 3 equal parts"):
        Runner(ARMS["MeZO"], problem(), 3)


def test_a_run_that_diverges_is_given_up():
    run = Runner(ARMS["MeZO"], problem(), 2).run(1e3, 1)
    assert run.validation == run.loss == math.inf
    assert len(run.curve) == 2


def test_rows_are_kept_and_runs_not_made_again(monkeypatch, tmp_path):
    monkeypatch.setattr(_report, "RESULTS", tmp_path)
    monkeypatch.setitem(main.PAPERS, "combinations", lambda: [Experiment("A", problem, ARMS)])
    rows = main.papers(SETTINGS)
    assert [row["arm"] for row in rows] == list(ARMS)
    assert rows[2]["learning rate"] == pytest.approx(2 * rows[0]["learning rate"])
    assert {row["evaluations"] for row in rows} == {16}
    found = Found(Results(tmp_path))
    assert found.row("A", "a bowl", "forward")["loss"] == rows[1]["loss"]
    monkeypatch.setattr(main, "Runner", None)
    assert main.papers(SETTINGS) == []


def test_a_verdict_asks_for_the_number_or_for_two_standard_errors():
    one, other = ({"loss": loss, "its deviation": 0.5, "seeds": 4} for loss in (1.0, 1.8))
    ahead, behind, level = (one, other), (other, one), (one, one)
    assert judged([behind], reached=True) == judged([ahead, ahead]) == HELD
    assert judged([ahead], reached=False) == judged([ahead, level, behind]) == PARTLY
    assert judged([behind, level]) == judged([behind], reached=False) == NOT
    assert judged([level], reached=False) == judged([level]) == OPEN
    assert less(one, other)  # by 0.8, where two standard errors are 0.71
    assert not less(one, other | {"loss": 1.7})
    assert less(one, other | {"loss": None})


def test_no_combination_beats_the_best_published_method():
    """As the page says; one that does should become a method."""
    rows = Found(Results()).of("combinations")
    published = {"MeZO", "SubZero", "ZO-Muon", "MeZO-BCD"}
    best = min((row for row in rows if row["arm"] in published), key=lambda row: row["loss"])
    others = [row for row in rows if row["arm"] not in published]
    assert len(others) == 6
    assert not [row["arm"] for row in others if less(row, best)]


def test_the_noise_of_a_step_is_that_of_its_key():
    noisy = function("noise", "Quadratic", dim=8, budget=16, noise=1.0)
    x = jnp.ones(8)
    losses = [noisy.loss(x, jax.random.key(seed)) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
