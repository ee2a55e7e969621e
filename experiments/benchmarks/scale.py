"""What travels between devices in a step, and how long would one take on thousands of them?

    python -m experiments.benchmarks.scale             about 5 minutes on 2 cores

Runs on 8 virtual CPU devices. For a small scanned decoder, MeZO and meshes of 1 to 8 devices, this
reads the bytes of all collectives from the compiled step, takes off those of plain forwards of the
doubled batch under the same sharding, one for each query of a group, and trains for three steps
beside one device. Then it extrapolates: the same traffic, at the sizes of two models and the speeds
that `Machine` names.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import zojax
from experiments.benchmarks._collectives import total_bytes
from experiments.benchmarks._forms import Form, Size, scanned
from experiments.benchmarks._placement import lies
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import random_tokens, step_of
from zojax import _mesh
from zojax.models import fully_sharded, tensor_parallel

SMALL = Size(layers=4, width=128, heads=8, vocabulary=1024, batch=16, length=16)
DEVICES = 8
TRAFFIC = (
    "mesh",
    "forwards bytes",
    "step bytes",
    "besides",
    "apart",
)
TIMES = (
    "model",
    "devices",
    "mesh",
    "tokens a step",
    "forwards ms",
    "noise ms",
    "weights ms",
    "model axis ms",
    "scalars ms",
    "step ms",
    "gradients ms",
)


class Layout(NamedTuple):
    """A mesh, and how the model uses it.

    Attributes:
      axes: sizes by name.
      rule: of the weights; None for whole ones.
      update: who regenerates the directions, see `zojax.Axes`.
    """

    axes: dict[str, int]
    rule: Any = None
    update: str = "all"


LAYOUTS = {
    "one device": Layout({"data": 1}),
    **{f"data={n}": Layout({"data": n}) for n in (2, 4, 8)},
    **{f"query={n}": Layout({"query": n}) for n in (2, 4, 8)},
    "query=8, shares": Layout({"query": 8}, update="share"),
    **{f"tensor={n}": Layout({"model": n}, tensor_parallel) for n in (2, 4, 8)},
    **{f"stored in {n}": Layout({"model": n}, fully_sharded) for n in (2, 4, 8)},
    "data=2, query=2, tensor=2": Layout({"data": 2, "query": 2, "model": 2}, tensor_parallel),
}


@dataclasses.dataclass(frozen=True)
class Machine:
    """An accelerator of about 2024: what the extrapolation assumes of each."""

    flops: float = 4e14
    """bfloat16 operations a second that a forward reaches."""
    memory: float = 3e12
    """Bytes a second between the chip and its memory."""
    noise: float = 1.5e11
    """Normal numbers a second: 160 operations each on units that are not for matrices."""
    link: float = 4e11
    """Bytes a second between the 8 devices of a model axis."""
    network: float = 5e10
    """Bytes a second between such groups."""
    latency: float = 2e-5
    """Seconds for each stage of a reduction of scalars."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the benchmark of scale."""

    size: Size = dataclasses.field(default_factory=lambda: SMALL)
    queries: int = 8
    steps: int = 3
    """Updates that are compared with those of one device."""
    machine: Machine = dataclasses.field(default_factory=Machine)
    tokens: int = 8192
    """Of the batch of one group of 8 devices, in the extrapolation."""


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints both tables and writes them to results/scale.jsonl and scale_times.jsonl."""
    report = Report("scale", TRAFFIC, settings)
    form = scanned(settings.size)
    alone: Any = None
    for name, layout in LAYOUTS.items():
        forwards, step, params = traffic(form, layout, settings)
        alone = params if alone is None else alone
        moved = _distance(alone, form.params)
        apart = _distance(alone, params) / moved
        report.row(name, forwards, step, step - forwards, f"{apart:.1e}")
    rows = report.finish()
    print()
    return rows + _extrapolated(settings)


def traffic(form: Form, layout: Layout, settings: Settings) -> tuple[int, int, Any]:
    """The bytes of a group's forwards and of a step, and the params after its updates."""
    sizes = tuple(layout.axes.values())
    devices = jax.devices()[: math.prod(sizes)]
    auto = len(sizes) * (AxisType.Auto,)
    mesh = jax.make_mesh(sizes, tuple(layout.axes), axis_types=auto, devices=devices)
    stored = layout.rule is fully_sharded
    batch_axis = "model" if stored else "data" if "data" in layout.axes else None
    lying = NamedSharding(mesh, PartitionSpec(batch_axis))
    axes = zojax.Axes(
        query="query" if "query" in layout.axes else None,
        gathered="model" if stored else (),
        query_update=layout.update,
    )
    with jax.set_mesh(mesh):
        rule = layout.rule and layout.rule(mesh, "model")
        params = jax.device_put(form.params, lies(form.params, rule, mesh))
        batch = jax.device_put(random_tokens(form, settings.size), lying)
        tx = zojax.mezo(
            1e-4, jax.random.key(0), radius=1e-2, num_queries=settings.queries, axes=axes
        )
        # From host to device: what lies on the mesh has no say in where the state goes.
        everywhere = NamedSharding(mesh, PartitionSpec())
        state = jax.device_put(jax.jit(tx.init)(params), everywhere)
        layouts = jax.tree.map(lambda leaf: leaf.sharding, (params, state))
        step = jax.jit(step_of(tx, form.loss), out_shardings=layouts)
        program = step.lower(params, state, batch).compile()
        for _ in range(settings.steps):
            params, state = program(params, state, batch)
        pairs = settings.queries // _mesh.query_groups(axes)
        forwards = pairs * _forward_bytes(form, params, batch, axes)
    return forwards, total_bytes(program), params


def _forward_bytes(form: Form, params: Any, batch: jax.Array, axes: zojax.Axes) -> int:
    """Of the plain loss of the batch twice; weights in parts are gathered first."""

    def loss(params: Any, batch: jax.Array) -> jax.Array:
        whole = jax.tree.map(lambda leaf: _mesh.gathered(leaf, axes.gathered), params)
        return form.loss(whole, batch)

    doubled = jax.device_put(jnp.concatenate([batch, batch]), batch.sharding)
    return total_bytes(jax.jit(loss).lower(params, doubled).compile())


def _distance(a: Any, b: Any) -> float:
    return float(optax.tree.norm(jax.tree.map(lambda x, y: np.asarray(x) - np.asarray(y), a, b)))


class Model(NamedTuple):
    """What the extrapolation knows of a model."""

    name: str
    weights: float
    layers: int
    width: int


MODELS = (Model("OPT-13B", 12.85e9, 40, 5120), Model("Qwen3-32B", 32.8e9, 64, 5120))


def _extrapolated(settings: Settings) -> list[dict[str, Any]]:
    """A step in bfloat16, each group of 8 devices with the weights and a pair of points."""
    report = Report("scale_times", TIMES, settings)
    machine, group = settings.machine, 8
    for model in MODELS:
        for devices in (8, 256, 4096):
            groups = devices // group
            tokens = settings.tokens * groups
            forwards = 2 * 2 * model.weights * settings.tokens / group / machine.flops
            noise = 2 * model.weights / group / machine.noise
            weights = 4 * 2 * model.weights / group / machine.memory
            # Two sums of activations a layer, for both points; a ring sends them twice.
            activations = 2 * settings.tokens * model.width * 2
            axis = 2 * model.layers * 2 * activations * (group - 1) / group / machine.link
            scalars = 2 * math.ceil(math.log2(devices)) * machine.latency
            total = forwards + noise + weights + axis + scalars
            # What first-order training adds for the groups: a ring over the gradients.
            gradients = 2 * 2 * model.weights / group * (groups - 1) / groups / machine.network
            times = (1e3 * t for t in (forwards, noise, weights, axis, scalars, total, gradients))
            mesh = f"model=8, data × query={groups}"
            report.row(model.name, devices, mesh, tokens, *times)
    return report.finish()


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", DEVICES)
    main(tyro.cli(Settings))
