"""Pages and figures that are drawn from kept rows."""

import json

import pytest

from experiments import _results_figures, _results_tables
from experiments._results import Results

PEERS = [
    {"program": "JAX, two forwards", "ms": 100.0, "peak / inference": None},
    {"program": "zojax, packed signs", "ms": 110.0, "peak / inference": 1.0},
    {"program": "zojax, gaussian", "ms": 120.0, "peak / inference": 1.0},
    {"program": "zojax, factored rank 1", "ms": 100.0, "peak / inference": 1.0},
    {"program": "JAX, two perturbed copies", "ms": 220.0, "peak / inference": 3.5},
    {"program": "PyTorch, MeZO in place", "ms": 240.0, "peak / inference": None},
    {"program": "evosax, OpenES", "ms": 360.0, "peak / inference": 8.0},
]


@pytest.fixture
def results(tmp_path):
    lines = (json.dumps(row | {"device": "cpu", "jax": "1.0"}) for row in PEERS)
    (tmp_path / "peers.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return Results(tmp_path)


def test_a_place_gets_its_table_and_nothing_else_changes(results):
    page = "before\n<!-- table: peers -->\nold\n<!-- end -->\nbehind\n"
    assert _results_tables.filled(page, results).splitlines() == [
        "before",
        "<!-- table: peers -->",
        "| | packed signs | gaussian | factored, rank 1 | memory over inference |",
        "|---|---|---|---|---|",
        "| MeZO in place in PyTorch | 2.18 | 2.00 | 2.40 | |",
        "| the naive step in JAX | 2.00 | 1.83 | 2.20 | 3.5 |",
        "| OpenES of evosax | 3.27 | 3.00 | 3.60 | 8.0 |",
        "<!-- end -->",
        "behind",
    ]


def test_a_table_without_rows_stays_as_it_is(results):
    page = "<!-- table: costs -->\nold\n<!-- end -->\n"
    assert _results_tables.filled(page, results) == page


def test_an_unknown_table_is_an_error(results):
    with pytest.raises(KeyError, match="nothing"):
        _results_tables.filled("<!-- table: nothing -->\n<!-- end -->", results)


def test_all_rows_are_shown_with_what_they_were_found_with(results):
    lines = _results_tables.all_rows(results).splitlines()
    assert "On cpu, with jax 1.0:" in lines
    assert "| JAX, two forwards | 100 | |" in lines
    assert sum(line.startswith("| ") for line in lines) == 1 + len(PEERS)


def test_figures_are_drawn_of_what_is_there_and_twice_the_same(results, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert _results_figures.draw(results, first) == ["peers.svg"]
    _results_figures.draw(results, second)
    assert (first / "peers.svg").read_bytes() == (second / "peers.svg").read_bytes()


def test_a_comparison_is_drawn_as_a_table_and_as_curves(tmp_path):
    row = {
        **{"model": "opt-reviews", "method": "zoar", "learning rate": 3e-4, "updates": 600},
        **{"seeds": 3},
        **{"at the end of the grid": True, "validation loss": 0.5, "its deviation": 0.1},
        **{"test accuracy": 0.9, "of the accuracy": 0.02, "evaluations to mezo's loss": None},
        **{"state / weights": 2.0, "curve": [(0, 1.0), (9, 0.5)]},
    }
    (tmp_path / "compare.jsonl").write_text(json.dumps(row) + "\n")
    results = Results(tmp_path)
    line = "| zoar | 0.0003* | 600 | 3 | 0.500 ± 0.100 | 90.0% ± 2.0% | not reached | 2.00 |"
    assert _results_tables.TABLES["compare"](results).endswith(line)
    assert _results_figures.draw(results, tmp_path) == ["methods.svg"]


def test_attacks_are_a_table_of_methods_against_laws(tmp_path):
    row = {
        **{"estimator": "central", "rule": "sign", "at the end of the grid": True},
        **{"succeeded": 0.98, "mean queries": 210.4, "deviation over seeds": 9.6},
    }
    rows = [row | {"directions": law} for law in ("sphere", "gaussian")]
    rows.append(rows[1] | {"rule": "descent", "at the end of the grid": False})
    (tmp_path / "attack.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert _results_tables.TABLES["attack"](Results(tmp_path)).splitlines()[2:] == [
        "| central | sign | 210 ± 10, 98%* | 210 ± 10, 98%* |",
        "| central | descent | | 210 ± 10, 98% |",
    ]


def test_what_methods_reached_without_gradients_is_a_table(tmp_path):
    row = {
        **{"problem": "cart pole", "method": "mezo", "learning rate": 0.03, "score": "reward"},
        **{"at the end of the grid": False, "before": 0.1, "after": 0.5, "deviation": 0.02},
    }
    (tmp_path / "control.jsonl").write_text(json.dumps(row) + "\n")
    line = "| cart pole | mezo | 0.03 | reward | 0.100 | 0.500 ± 0.020 |"
    assert _results_tables.TABLES["control"](Results(tmp_path)).endswith(line)
