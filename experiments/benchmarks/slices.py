"""What does a step of a large model take on each device of a TPU slice that is not here?

    python -m experiments.benchmarks.slices                   OPT-13B on a slice of 16
    python -m experiments.benchmarks.slices --slices v5e:8x8 --models Qwen3-32B

Compiles inference on the doubled batch and the whole step of MeZO for all devices of a slice: with
every matrix stored in parts (fsdp), with the products of each layer cut over 8 devices (tensor),
and with half of the groups taking a direction of their own (query). Inference is what JAX makes of
the plain loss, with weights and rows that lie as they do for the step. It needs the TPU's compiler:
`pip install 'zojax[tpu-compiler]'`. Nothing is run.

Peak is arguments + results + temporaries of one device. Sent is what its collectives receive, each
as often as its loop runs; `largest` is the largest of them.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import zojax
from experiments.benchmarks._collectives import collectives
from experiments.benchmarks._compilers import Machine, use_compilers
from experiments.benchmarks._families import qwen3_32b
from experiments.benchmarks._forms import Form, Size, abstract, scanned
from experiments.benchmarks._placement import lies
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import LAWS, LEARNING_RATE, RADIUS, doubled, step_of
from zojax.models import fully_sharded, tensor_parallel
from zojax.training import peak_bytes

DEVICE_GB = 16.0  # of a TPU v5e
GROUP = 8  # devices that share the products of a layer
MODELS: dict[str, Callable[[int, int], Form]] = {
    "OPT-13B": lambda rows, length: abstract(
        scanned, Size(40, 5120, 40, 50272, rows, length), jnp.dtype(jnp.bfloat16)
    ),
    "Qwen3-32B": lambda rows, length: abstract(
        qwen3_32b, Size(64, 5120, 64, 151936, rows, length), jnp.dtype(jnp.bfloat16)
    ),
}
COLUMNS = (
    "slice",
    "model",
    "layout",
    "program",
    "weights GB",
    "peak GB",
    "peak / inference",
    "fits",
    "sent MB",
    "largest MB",
    "compile s",
)


class Layout(NamedTuple):
    """A mesh, and what lies how on it.

    Attributes:
      axes: sizes by name, given the number of devices.
      rule: of the weights.
      rows: the axis over which rows of a batch are cut.
      queries: directions of a step.
    """

    axes: Callable[[int], dict[str, int]]
    rule: Any
    rows: str
    queries: int = 1


LAYOUTS = {
    "fsdp": Layout(lambda n: {"model": n}, fully_sharded, "model"),
    "tensor": Layout(lambda n: {"data": n // GROUP, "model": GROUP}, tensor_parallel, "data"),
    "query": Layout(
        lambda n: {"data": n // GROUP // 2, "query": 2, "model": GROUP},
        tensor_parallel,
        "data",
        queries=2,
    ),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of slices; each of the first four takes several words."""

    slices: tuple[str, ...] = ("v5e:4x4",)
    models: tuple[str, ...] = ("OPT-13B",)
    layouts: tuple[str, ...] = tuple(LAYOUTS)
    laws: tuple[str, ...] = ("packed signs", "gaussian", "factored rank 1", "factored rank 4")
    length: int = 512
    """Tokens of a row; the batch of a step has a row for every device."""

    def __post_init__(self):
        for setting, names in {"models": MODELS, "layouts": LAYOUTS, "laws": LAWS}.items():
            for name in getattr(self, setting):
                if name not in names:
                    raise ValueError(
                        f"{setting}: {name!r} is unknown; choose from {', '.join(names)}"
                    )


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, adds it to results/slices.jsonl and returns its rows."""
    report = Report("slices", COLUMNS, settings, names=COLUMNS.index("program") + 1)
    for topology in settings.slices:
        machine = Machine(topology, topology)
        if machine.missing:
            print(f"{topology} is left out: its compiler is not here; {machine.missing}")
            continue
        devices = np.array(machine.devices())
        for model, layout in product(settings.models, settings.layouts):
            form = MODELS[model](len(devices), settings.length)
            placed = Placed(form, LAYOUTS[layout], devices)
            _measure(placed, settings.laws, partial(report.row, topology, model, layout))
    return report.rows


def _measure(placed: "Placed", laws: tuple[str, ...], row: Callable) -> None:
    """Rows of a model that lies so: inference first, to which the others are compared."""
    inference, seconds = placed.inference()

    def of(program: str, executable: Any, seconds: float) -> None:
        peak, sent = peak_bytes(executable), collectives(executable)
        row(
            program,
            placed.weights / 1e9,
            peak / 1e9,
            peak / peak_bytes(inference),
            "yes" if peak / 1e9 < DEVICE_GB else "no",
            round(sum(one.bytes * one.times for one in sent) / 1e6),
            round(max((one.bytes for one in sent), default=0) / 1e6),
            seconds,
        )

    of("inference, doubled batch", inference, seconds)
    for law in laws:
        of(law, *placed.step(law))


class Placed:
    """A form on the devices of a slice."""

    def __init__(self, form: Form, layout: Layout, devices: np.ndarray):
        sizes = layout.axes(devices.size)
        self.layout, self.form = layout, form
        self.mesh = Mesh(
            devices.reshape(*sizes.values()),
            tuple(sizes),
            axis_types=(AxisType.Auto,) * len(sizes),
        )
        self.lying = lies(form.params, layout.rule(self.mesh, "model"), self.mesh)
        self.params = jax.tree.map(
            lambda leaf, sharding: leaf.update(sharding=sharding), form.params, self.lying
        )

    @property
    def weights(self) -> int:
        """Bytes of them on one device."""
        return sum(
            math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
            for leaf in jax.tree.leaves(self.params)
        )

    def inference(self) -> tuple[Any, float]:
        """The plain loss of the doubled batch, and the seconds that it took to compile."""
        return self._compiled(self.form.loss, self.params, self._rows(doubled(self.form.batch)))

    def step(self, law: str) -> tuple[Any, float]:
        """The step of MeZO, and the seconds."""
        sampler, generator = LAWS[law]
        axes = zojax.Axes(
            query="query" if "query" in self.mesh.shape else None,
            gathered="model" if self.layout.rule is fully_sharded else (),
        )
        tx = zojax.mezo(
            LEARNING_RATE,
            jax.random.key(0, impl=generator),
            radius=RADIUS,
            num_queries=self.layout.queries,
            sampler=sampler(),
            axes=axes,
        )
        whole = NamedSharding(self.mesh, PartitionSpec())
        with jax.set_mesh(self.mesh):
            state = jax.eval_shape(tx.init, self.params)
        state = jax.tree.map(lambda leaf: leaf.update(sharding=whole), state)
        out = self.lying, jax.tree.map(lambda _: whole, state)
        return self._compiled(
            step_of(tx, self.form.loss),
            self.params,
            state,
            self._rows(self.form.batch),
            donate_argnums=(0, 1),
            out_shardings=out,
        )

    def _rows(self, batch: Any) -> Any:
        cut = NamedSharding(self.mesh, PartitionSpec(self.layout.rows))
        return jax.tree.map(lambda leaf: leaf.update(sharding=cut), batch)

    def _compiled(self, fn: Callable, *shapes: Any, **options: Any) -> tuple[Any, float]:
        start = time.perf_counter()
        with jax.set_mesh(self.mesh):
            program = jax.jit(fn, **options).lower(*shapes).compile()
        return program, time.perf_counter() - start


if __name__ == "__main__":
    use_compilers()
    main(tyro.cli(Settings))
