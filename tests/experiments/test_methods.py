"""The recipes of the main job: every method is there, says what it costs, and fits its settings."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from experiments import compare
from experiments._methods import METHODS
from experiments._recipe import SAMPLERS
from experiments.benchmarks import _report
from experiments.finetune import Settings, finetune
from zojax import lora, methods, models

ADAPTER = {"lora_a": jnp.ones((3, 2)), "lora_b": jnp.zeros((2, 4))}


def distance(x):
    return jnp.mean((x["lora_a"] @ x["lora_b"] - 1.0) ** 2)


def test_every_method_of_the_library_can_be_chosen_and_two_more():
    assert set(METHODS) == {*methods.__all__, "adamw", "grzo_agzo"}


@pytest.mark.parametrize("name", METHODS)
def test_a_recipe_says_how_many_losses_an_update_evaluates(name):
    rank = None if METHODS[name].takes_gradients else 2
    settings = Settings(method=name, sampler_rank=rank)
    tx = METHODS[name].make(settings, jax.random.key(0))

    @jax.jit
    def step():
        data = {"value_fn": lambda x, batch: distance(x) + 0 * batch.sum(), "batch": jnp.ones(8)}
        return tx.update(None, tx.init(ADAPTER), ADAPTER, **data)

    updates, state = step()
    spent = optax.tree.get(state, "num_evaluations")
    recipe = METHODS[name]
    assert spent == recipe.evaluations(settings.num_queries) + recipe.at_first
    assert any(np.any(leaf) for leaf in jax.tree.leaves(updates))


def test_settings_that_are_left_out_are_the_method_s_own():
    settings = Settings(method="zo_muon")
    assert (settings.num_queries, settings.sampler, settings.sampler_rank) == (4, "factored", 64)
    assert settings.adapter == "none"
    assert settings.learning_rate == METHODS["zo_muon"].learning_rate
    settings = Settings(method="ar1_zo", learning_rate=0.5)
    assert (settings.adapter, settings.learning_rate) == ("lora", 0.5)
    assert Settings(adapter="lora").learning_rate == METHODS["mezo"].lora_learning_rate
    assert Settings(adapter="prefix").learning_rate == METHODS["mezo"].prefix_learning_rate
    assert METHODS["zo_sgd"].rate("prefix") == METHODS["zo_sgd"].lora_learning_rate
    assert [Settings(adapter=name).radius for name in ("none", "lora", "prefix")] == [
        *(1e-3, 1e-2, 1e-1)
    ]
    settings = Settings(method="adamw")
    assert (settings.radius, settings.num_queries, settings.sampler) == (None, None, None)
    assert dataclasses.replace(settings, steps=3).steps == 3


def test_every_law_can_be_built():
    for name, make in SAMPLERS.items():
        sampler = make(Settings(sampler=name, sampler_rank=2))
        directions, _ = sampler.draw(sampler.init(ADAPTER), jax.random.key(0), 0, 1, ADAPTER)
        assert len(directions) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "zo_muon", "sampler": "sphere"}, r"'sphere' does not go with .*'zo_muon'"),
        ({"method": "mezo_bcd", "sampler": "factored"}, r"choose from gaussian, rademacher"),
        ({"method": "ar1_zo", "adapter": "none"}, r"'ar1_zo' trains the atoms .*--adapter lora"),
        ({"method": "ar1_zo", "adapter": "prefix"}, r"trains the atoms .*--adapter lora"),
        ({"adapter": "dora"}, r"adapter 'dora' is unknown; choose from none, lora, prefix"),
        ({"prefix_length": 0}, r"prefix_length must be at least 1; got 0"),
        ({"method": "adamw", "radius": 0.1}, r"radius does not go with method 'adamw', which take"),
        ({"method": "adamw", "sampler": "sphere"}, r"sampler does not go with method 'adamw'"),
        ({"method": "adamw", "objective": "accuracy"}, r"'accuracy' has no gradient, and method"),
        ({"objective": "bleu"}, r"objective 'bleu' is unknown; choose from loss, accuracy, f1"),
        ({"scale": 0.0}, r"scale must be above 0 and finite; got 0"),
        ({"sampler_rank": 0}, r"sampler_rank must be at least 1; got 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


@pytest.fixture(scope="module")
def adapted(model_folder, task_folder, tmp_path_factory):
    """A run of AR1-ZO on a LoRA adapter of the tiny model."""
    settings = Settings(
        model=str(model_folder),
        task=str(task_folder),
        method="ar1_zo",
        rank=3,
        scale=1.5,
        learning_rate=0.1,
        steps=4,
        batch_size=4,
        eval_every=4,
        out=tmp_path_factory.mktemp("run"),
    )
    return finetune(settings)


def test_an_adapter_is_exported_alone_and_merged(adapted, model_folder):
    base = models.from_pretrained(model_folder)
    ids = jnp.array([[1, 4, 5, 6, 9]])
    loaded = lora.load_peft(base, adapted.out / "adapter")
    assert nnx.state(loaded, nnx.LoRAParam).layers.self_attn.q_proj.lora_a.shape == (2, 8, 3)
    merged = models.from_pretrained(adapted.out / "model")
    np.testing.assert_allclose(merged(ids), loaded(ids), rtol=1e-5, atol=1e-6)
    assert not np.allclose(merged(ids), base(ids), rtol=1e-6)
    assert adapted.loss_evaluations == 8


def test_the_comparison_tunes_a_method_and_runs_it_with_other_seeds(
    model_folder, task_folder, tmp_path, monkeypatch
):
    class Small(Settings):
        def __init__(self, **changes):
            super().__init__(**{"batch_size": 4} | changes)

    monkeypatch.setattr(compare, "Settings", Small)
    monkeypatch.setattr(_report, "RESULTS", tmp_path)
    comparison = compare.Comparison(
        methods=("mezo",),
        budget=4,
        grid=(1e-3, 1.0),
        seeds=2,
        model=str(model_folder),
        task=str(task_folder),
        out=str(tmp_path / "runs"),
    )
    (row,) = compare.compare(comparison)
    rate = row["learning rate"]
    assert rate in (1e-7, 1e-4)
    of_seeds = [compare.run(comparison, "mezo", rate, seed)[0]["loss_after"] for seed in (1, 2)]
    assert of_seeds[0] != of_seeds[1]
    assert row["validation loss"] == pytest.approx(np.mean(of_seeds))
    assert row["its deviation"] == pytest.approx(np.std(of_seeds))
    assert (row["updates"], row["loss evaluations"], row["at the end of the grid"]) == (2, 4, True)
    assert [evaluations for evaluations, _ in row["curve"]] == [0, 2, 4]
    assert compare.compare(comparison) == [row]  # from the folder of the first runs


def test_a_comparison_takes_no_run_of_another_model_adapter_or_budget():
    """Runs that are finished are found by their folder."""
    comparisons = [
        compare.Comparison(),
        compare.Comparison(adapter="lora"),
        compare.Comparison(budget=600),
        compare.Comparison(model="runs/digits/vit"),
    ]
    of_runs = {compare._settings(comparison, "mezo", 0.1, 1).out for comparison in comparisons}
    assert len(of_runs) == 4
    subjects = [comparison.subject for comparison in comparisons]
    assert subjects == ["opt-reviews", "opt-reviews, lora", "opt-reviews", "runs/digits/vit"]
    assert compare.Comparison(adapter="none").subject == "opt-reviews"


def test_a_method_that_is_unknown_is_named_before_anything_runs():
    with pytest.raises(ValueError, match="methods mezzo: unknown; choose from all, mezo"):
        compare.names(compare.Comparison(methods=("mezzo",)))


def test_how_many_evaluations_it_took_to_a_loss():
    curve = [(0, 0.7), (100, 0.5), (200, 0.55), (300, 0.4)]
    assert compare.first_at_most(curve, 0.5) == 100
    assert compare.first_at_most(curve, 0.3) is None


def test_an_earlier_comparison_says_what_loss_to_reach(tmp_path):
    path = tmp_path / "compare.jsonl"
    assert np.isnan(compare.kept_loss(path, "a"))
    found = [("a", "mezo", 0.5), ("a", "lozo", 0.1), ("b", "mezo", 0.2)]
    names = ("model", "method", "validation loss")
    path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in found))
    assert compare.kept_loss(path, "a") == 0.5
