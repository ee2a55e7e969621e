"""The benchmarks for accelerators that are there, and the arithmetic for those that are not."""

import jax
import jax.numpy as jnp
import pytest

from experiments.benchmarks import device, roofline
from experiments.benchmarks._forms import Size, abstract, scanned
from experiments.benchmarks._steps import random_tokens

SIZE = Size(layers=2, width=16, heads=2, vocabulary=40, batch=2, length=4)


def test_fewer_bits_are_fewer_operations():
    """A call of 20 rounds is some 115 operations, shared by 64, 8, 4 and 2 numbers."""
    counted = [roofline.operations_of_number(law) for law in roofline.LAWS.values() if law]
    assert counted == sorted(counted)
    signs, eight, _, whole = counted
    assert signs < 10 < eight < 45 < 100 < whole < 150


def test_the_estimate_is_that_of_its_equations(results):
    rows = roofline.main(roofline.Settings(tokens=(512,)))
    assert (results / "roofline.jsonl").exists()
    one = {
        row["law"]: row
        for row in rows
        if (row["machine"], row["model"], row["tokens"]) == ("TPU v5e", "OPT-1.3B", 512)
    }
    forwards = 4 * 1.32e9 * 512 / (0.6 * 197e12)
    update = 2 * 2 * 1.32e9 / 819e9
    factored, signs = one["factored"], one["packed signs"]
    assert factored["forwards ms"] == pytest.approx(1e3 * forwards)
    assert factored["step / two forwards"] == pytest.approx(1 + update / forwards)
    words = 3 * 2 * 1.32e9 / 8 / 819e9  # of each point, and of the update
    assert signs["update ms"] == pytest.approx(1e3 * (update + words))
    assert (
        one["naive, 32 bits"]["step / two forwards"]
        > one["gaussian, 8 bits"]["step / two forwards"]
    )


@pytest.mark.parametrize("program", ["packed signs", device.NAIVE, device.INFERENCE])
def test_a_program_is_measured_where_it_runs(program):
    """On a CPU, which counts no peak."""
    form = abstract(scanned, SIZE, jnp.dtype(jnp.bfloat16))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), form.params)
    form = form._replace(params=params)
    found = device.measure(form, random_tokens(form, SIZE), program, repetitions=1)
    assert found["peak"] is None
    if program != device.INFERENCE:
        assert found["step"] > 0
        assert found["ratio"] > 0
        assert (found["noise"] is None) == (program == device.NAIVE)


def test_programs_that_do_not_fit_leave_a_word_and_the_others_a_row(results, monkeypatch, capsys):
    def elsewhere(settings):
        if settings.only == device.NAIVE:
            return None
        return {"peak": {device.INFERENCE: 100, "gaussian": 101}[settings.only], "step": 2.0}

    monkeypatch.setattr(device, "_elsewhere", elsewhere)
    rows = device.main(device.Settings(laws=("gaussian",)))
    assert [row["peak / inference"] for row in rows] == [1.0, 1.01]
    assert (results / "device.jsonl").exists()
    assert "naive did not run to its end" in capsys.readouterr().out
