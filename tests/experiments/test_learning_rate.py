"""The range test that finds a learning rate."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from experiments._learning_rate import (
    FACTOR,
    UPDATES,
    below_best,
    choose_learning_rate,
    search,
)
from experiments._weights_on_host import WeightsOnHost
from experiments.finetune import Settings, finetune, prepare


def bowl(edge):
    """D of descent on a quadratic: η² / edge - η, and no number far above the edge."""
    return lambda rate: math.nan if rate > 10 * edge else rate**2 / edge - rate


@pytest.mark.parametrize("edge", [1e-6, 3e-4, 1.0])
def test_the_search_finds_the_least_and_stops_below_it(edge):
    calls = []

    def change(rate):
        calls.append(rate)
        return bowl(edge)(rate)

    tried = search(change, highest=3.0, lowest=1e-9)
    assert edge / 2 / FACTOR <= FACTOR * below_best(tried) <= edge / 2 * FACTOR
    assert list(tried) == calls
    assert calls == sorted(calls, reverse=True)
    assert calls[-1] > edge / 2 / FACTOR**3
    assert all((tried[rate] is None) == (rate > 10 * edge) for rate in calls)


def test_where_nothing_lowers_the_loss_this_is_said():
    tried = search(lambda rate: rate, highest=1.0, lowest=0.09)
    with pytest.raises(ValueError, match=r"learning_rate auto: none of 3 rates from 1 to 0.1 low"):
        below_best(tried)


def test_weights_come_back_bit_by_bit_each_time():
    params = {"a": jnp.arange(3.0) / 7, "b": jnp.ones((2, 2), jnp.bfloat16)}
    expected = jax.device_get(params)
    expected = jax.tree.map(np.copy, expected)
    weights = WeightsOnHost(params)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(params))
    spoil = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0, tree), donate_argnums=0)
    for _ in range(2):
        back = weights.put_back()
        jax.tree.map(np.testing.assert_array_equal, back, expected)
        weights.drop(spoil(back))


@pytest.fixture(scope="module")
def make_settings(model_folder, task_folder, tmp_path_factory):
    def make(**changes):
        values = {"model": str(model_folder), "task": str(task_folder), "steps": 2, "batch_size": 4}
        values |= {"eval_every": 2, "learning_rate": "auto", "out": tmp_path_factory.mktemp("run")}
        return Settings(**values | changes)

    return make


def chosen(settings, job):
    loss = job_loss(job)
    with jax.set_mesh(job.layout.mesh):
        return choose_learning_rate(settings, job, loss, 1, Console(quiet=True))


def job_loss(job):
    def loss(params, frozen, batch):
        return job.objective.value_fn(nnx.merge(job.graphdef, params, frozen), batch)

    return loss


@pytest.mark.slow
def test_a_run_finds_its_rate_says_so_and_keeps_it(make_settings, capsys):
    settings = make_settings()
    result = finetune(settings)
    output = " ".join(capsys.readouterr().out.split())
    assert "learning rate to be found" in output
    assert (
        f"rate {result.learning_rate:.3g}, half a decade below the best in {UPDATES} updates ("
        in output
    )
    stored = json.loads((settings.out / "learning_rate.json").read_text())
    assert stored["learning_rate"] == result.learning_rate
    assert json.loads((settings.out / "result.json").read_text())["learning_rate"] == (
        result.learning_rate
    )
    # 17 evaluations for the edge, one for every batch at the start, two for each update at a rate;
    # rates that are given up take whole stretches of eight.
    rates = [rate for rate, change in stored["tried"] if change is not None]
    spent = stored["loss_evaluations"] - 17 - UPDATES - 2 * UPDATES * len(rates)
    given_up = len(stored["tried"]) - len(rates)
    assert spent % 16 == 0
    assert 16 * given_up <= spent <= 2 * UPDATES * given_up
    assert stored["edge"] is None or stored["edge"] >= stored["tried"][0][0]

    # The same seed finds the same, and the weights come back.
    again = prepare(make_settings())
    before = jax.tree.map(np.array, again.params)
    found, params = chosen(dataclasses.replace(settings, out=make_settings().out), again)
    assert found.learning_rate == result.learning_rate
    jax.tree.map(np.testing.assert_array_equal, params, before)

    # A run that goes on does not look for another.
    resumed = dataclasses.replace(settings, resume=True)
    found, params = chosen(resumed, again._replace(params=params))
    assert found.learning_rate == result.learning_rate
