"""Run by test_compiled_memory.py in a process of its own, which is told of compilers as it starts.

Compiles inference on the doubled batch, steps of MeZO and the naive step for a machine that is not
here, and prints a line of JSON for each step: its peak over that of inference.
"""

import json
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

import zojax
from experiments.benchmarks import _compilers, slices
from experiments.benchmarks._forms import Size, abstract, scanned
from experiments.benchmarks._steps import doubled, lazy_step, naive_step, step_of
from zojax.training import peak_bytes

# Large enough for activations to lie in memory: what a TPU holds beside its units is not counted.
SIZE = Size(layers=8, width=1024, heads=16, vocabulary=16384, batch=16, length=256)
LAWS = ("gaussian", "factored rank 1")


def main(name: str) -> None:
    _compilers.use_compilers()
    (machine,) = (one for one in _compilers.MACHINES if one.name == name)
    form = abstract(scanned, SIZE, jnp.dtype(jnp.bfloat16))
    devices = machine.devices()
    on_one_device(form, partial(_compilers.compiled_for, SingleDeviceSharding(devices[0])))
    if machine.topology:
        for layout in ("fsdp", "tensor"):
            on_a_slice(form, layout, np.array(devices))


def on_one_device(form, compiled) -> None:
    inference, _ = compiled(form.loss, form.params, doubled(form.batch))
    transformations = {law: lazy_step(form.loss, law)[0] for law in LAWS}
    rounded = zojax.round_stochastically(transformations["gaussian"], jax.random.key(0))
    replayed = zojax.mezo_adam(1e-3, jax.random.key(0), history=4)
    others = {
        "gaussian, rounded": rounded,
        "adam, replayed": replayed,
        "grzo": zojax.grzo(1e-6, jax.random.key(0)),
    }
    for name, tx in (transformations | others).items():
        state = jax.eval_shape(tx.init, form.params)
        step = step_of(tx, form.loss)
        program, _ = compiled(step, form.params, state, form.batch, donate=(0, 1))
        show("one device", name, program, inference)
    key = jax.eval_shape(lambda: jax.random.key(0))
    program, _ = compiled(naive_step(form.loss), form.params, key, form.batch, donate=(0,))
    show("one device", "naive", program, inference)


def on_a_slice(form, layout, devices) -> None:
    rules = slices.LAYOUTS[layout]._replace(axes=lambda n: {"data": n // 4, "model": 4})
    placed = slices.Placed(form, rules, devices)
    inference, _ = placed.inference()
    program, _ = placed.step("gaussian")
    show(layout, "gaussian", program, inference)


def show(where, law, program, inference) -> None:
    row = {"where": where, "law": law, "peak": peak_bytes(program) / peak_bytes(inference)}
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
