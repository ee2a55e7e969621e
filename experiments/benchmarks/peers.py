"""How fast is a step beside those of peers, on the same model, batch and threads?

    python -m experiments.benchmarks.peers             about 4 minutes on 2 cores

Needs torch, transformers and evosax. Timed side by side in one run, float32, each after a turn that
is not timed, so that a step follows a step of its own as it does in training (else the memory that
another program has given back is part of it: OpenES took 2.1 instead of 1.3 seconds):

- MeZO in PyTorch, in place, on transformers' OPT (`_torch_mezo.py`), and its two plain forwards;
- the naive step in JAX: two perturbed copies and an update;
- OpenES of evosax with one antithetic pair, which keeps a population of flat vectors;
- a step of zojax under several laws, beside the least that it must take: the forwards of both
  points, one after another or side by side, and what its law adds to them, measured as in `speed`;
- these plain forwards in JAX.

Steps in JAX are one compiled program each, whose peak memory is given over that of plain inference
on the doubled batch. PyTorch's is not measured.
Expected: PyTorch at least 2.5 times as long as zojax, the naive step 2.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import torch
import tyro
from evosax.algorithms import Open_ES

from experiments._vectors import use_wide_vectors
from experiments.benchmarks import _torch_mezo
from experiments.benchmarks._bounds import Bounds
from experiments.benchmarks._forms import Form, Size, scanned
from experiments.benchmarks._report import Report
from experiments.benchmarks._steps import (
    LAWS,
    LEARNING_RATE,
    RADIUS,
    compiled,
    doubled,
    lazy_step,
    naive_step,
    random_tokens,
    repeated,
    running,
)
from zojax.training import median_seconds, peak_bytes


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the comparison with peers."""

    size: Size = dataclasses.field(default_factory=lambda: Size(layers=12))
    threads: int = 2
    """Of PyTorch; XLA takes as many as there are cores."""
    repetitions: int = 11


COLUMNS = ("program", "ms", "least ms", "zojax gaussian = 1", "peak / inference")


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/peers.jsonl and returns its rows."""
    torch.set_num_threads(settings.threads)
    form = scanned(settings.size)
    batch = random_tokens(form, settings.size)
    programs, peaks = _of_jax(form, batch)
    model = _torch_mezo.random_opt(settings.size)
    loss = _torch_mezo.last_token_loss(model, batch)
    programs["PyTorch, two forwards"] = lambda: (loss(), loss())
    programs["PyTorch, MeZO in place"] = _torch_mezo.mezo(
        model, loss, radius=RADIUS, learning_rate=LEARNING_RATE
    )
    times = median_seconds(programs, repetitions=settings.repetitions, untimed=1)
    forwards = min(times["JAX, two forwards"], times["JAX, both forwards side by side"])
    bounds = Bounds(settings.size)
    least = {f"zojax, {law}": forwards + bounds.seconds(law, form.params) for law in LAWS}
    inference, _ = compiled(form.loss, form.params, doubled(form.batch))
    report = Report("peers", COLUMNS, settings)
    for name, seconds in times.items():
        bound = 1e3 * least[name] if name in least else None
        peak = peaks[name] / peak_bytes(inference) if name in peaks else None
        report.row(name, 1e3 * seconds, bound, seconds / times["zojax, gaussian"], peak)
    return report.finish()


def _of_jax(form: Form, batch: jax.Array) -> tuple[dict[str, Callable], dict[str, int]]:
    """Programs to run, and the peak bytes of those that are one compiled step."""
    forward, _ = compiled(form.loss, form.params, batch)
    twice = jnp.concatenate([batch, batch])
    pair, _ = compiled(form.loss, form.params, twice)
    programs = {
        "JAX, two forwards": repeated(forward, form.params, batch, count=2),
        "JAX, both forwards side by side": repeated(pair, form.params, twice, count=1),
    }
    peaks = {}

    def add(name: str, step: Callable, params: Any, state: Any) -> None:
        program, _ = compiled(step, params, state, batch, donate=(0, 1))
        programs[name] = running(program, params, state, batch=batch)
        peaks[name] = peak_bytes(program)

    for law in LAWS:
        tx, step = lazy_step(form.loss, law)
        add(f"zojax, {law}", step, form.params, tx.init(form.params))
    add("JAX, two perturbed copies", naive_step(form.loss), form.params, jax.random.key(0))
    add("evosax, OpenES", *_open_es(form))
    return programs, peaks


def _open_es(form: Form) -> tuple[Callable, Any, jax.Array]:
    strategy = Open_ES(population_size=2, solution=form.params)
    settings = strategy.default_params

    def step(state: Any, key: jax.Array, batch: jax.Array) -> tuple[Any, jax.Array]:
        key, ask, tell = jax.random.split(key, 3)
        population, state = strategy.ask(ask, state, settings)
        losses = jax.vmap(form.loss, in_axes=(0, None))(population, batch)
        return strategy.tell(tell, population, losses, state, settings)[0], key

    start = jax.jit(strategy.init)(jax.random.key(0), form.params, settings)
    return step, start, jax.random.key(1)


if __name__ == "__main__":
    use_wide_vectors()
    main(tyro.cli(Settings))
