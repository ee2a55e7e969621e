"""The benchmark of compilers that may be missing; each that is here compiles a small model."""

import json
import sys

import jax
import jax.numpy as jnp
import pytest
from started import output_of

from experiments.benchmarks import _compilers, accelerators
from experiments.benchmarks._forms import Size
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import naive_step

SIZE = Size(layers=2, width=16, heads=2, vocabulary=40, batch=2, length=4)


def test_a_machine_without_its_compiler_is_left_out_with_a_word(results, monkeypatch, capsys):
    monkeypatch.setattr(_compilers, "_found", lambda module: False)
    kept = results / "accelerators.jsonl"
    kept.write_text("of another run")
    assert accelerators.main(accelerators.Settings()) == []
    assert kept.read_text() == "of another run"
    words = capsys.readouterr().out
    assert words.count("is left out") == len(_compilers.MACHINES)
    assert words.count("zojax[tpu-compiler]") == 2
    assert words.count("zojax[cuda-compiler]") == 1


def test_what_is_unknown_is_named_with_what_there_is():
    settings = accelerators.Settings(machines=("TPU v9",))
    with pytest.raises(ValueError, match="machines: 'TPU v9' is unknown; choose from TPU v5e, "):
        accelerators.main(settings)


def test_a_run_replaces_what_it_found_and_keeps_the_rest(results):
    """Each row is there as soon as it is known: such runs take long."""

    def report():
        return Report("kept", ("machine", "law", "peak"), accelerators.Settings(), names=2)

    first = report()
    first.row("TPU v5e", "gaussian", 1.0)
    first.row("TPU v5e", "naive", 2.0)
    second = report()
    second.row("TPU v5e", "gaussian", 1.5)
    second.row("H100", "gaussian", 1.25)
    rows = [json.loads(line) for line in (results / "kept.jsonl").read_text().splitlines()]
    found = [(row["machine"], row["law"], row["peak"]) for row in rows]
    assert found == [
        ("TPU v5e", "naive", 2.0),
        ("TPU v5e", "gaussian", 1.5),
        ("H100", "gaussian", 1.25),
    ]


@pytest.mark.parametrize("name", accelerators.FORMS)
def test_forms_of_shapes_are_of_one_dtype_and_keep_it_in_every_step(name):
    form = accelerators.abstract(accelerators.FORMS[name], SIZE, jnp.dtype(jnp.bfloat16))
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(form.params)}
    assert dtypes == {jnp.dtype(jnp.bfloat16)}
    assert not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(form.params))
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, _ = jax.eval_shape(naive_step(form.loss), form.params, key, form.batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(after)} == dtypes


# In a process of its own: what the compilers are told, they are told when XLA starts.
SMALL = """
import pathlib, sys
from experiments.benchmarks import _compilers, _report, accelerators
from experiments.benchmarks._forms import Size

_report.RESULTS = pathlib.Path(sys.argv[1])
_compilers.use_compilers()
accelerators.SIZES["small"] = Size(layers=2, width=16, heads=2, vocabulary=40, batch=2, length=4)
one = dict(machines=(sys.argv[2],), sizes=("small",), forms=("scanned OPT",), laws=("gaussian",))
accelerators.main(accelerators.Settings(**one))
"""


@pytest.mark.slow
@pytest.mark.parametrize("machine", _compilers.MACHINES, ids=lambda machine: machine.name)
def test_a_step_is_compiled_for_a_machine_that_is_not_here(machine, tmp_path):
    if machine.missing:
        pytest.skip(f"needs its compiler: {machine.missing}")
    output_of([sys.executable, "-c", SMALL, str(tmp_path), machine.name])
    kept = (tmp_path / "accelerators.jsonl").read_text()
    rows = [json.loads(line) for line in kept.splitlines()]
    assert [row["program"] for row in rows] == ["inference, doubled batch", "gaussian", "naive"]
    inference, _, naive = (row["peak / inference"] for row in rows)
    assert naive > inference == 1
