"""Do gaussian directions of 8 random bits a number train as well as those of 16 and of 32?

    python -m experiments.noise_bits

Runs MeZO with each law over ten seeds: on the shipped model and reviews with the settings that
`experiments.finetune` has by default (validation loss at the end), and on the four functions of
`experiments.synthetic` (ln of the value at the end). A seed has the same start and the same
batches under every law. `over 32 bits` is the mean of the differences to the runs with 32 bits,
`in standard errors` that over the standard error of the difference of the means. If the laws are
equally good, it lies between -1 and 1 in 68 of 100 rows.
"""

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import optax
import tyro
from flax import nnx

import zojax
from experiments._compilation_cache import keep_compiled_programs
from experiments._evaluation import make_evaluate
from experiments._functions import FUNCTIONS
from experiments._job import Job, prepare
from experiments._settings import Settings as RunSettings
from experiments._vectors import use_wide_vectors
from experiments.benchmarks._report import Report
from zojax import training

BITS = (32, 16, 8)
# Of plain descent on 1,000 variables from N(0, I): the best of half decades with 32 bits and a seed
# of its own, 1000.
RATES = {"Quadratic": 1e-3, "Levy": 1e-3, "Rosenbrock": 1e-6, "Ackley": 1e-2}
REVIEWS = "reviews"
COLUMNS = ("task", "bits", "seeds", "loss", "standard error", "over 32 bits", "in standard errors")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which runs, and how long they are."""

    seeds: tuple[int, ...] = tuple(range(10))
    """Runs of each law."""
    tasks: tuple[str, ...] = (REVIEWS, *FUNCTIONS)
    """What is trained on."""
    steps: int = 600
    """Updates on reviews."""
    function_steps: int = 5_000
    """Updates on a function."""
    dim: int = 1_000
    """Variables of a function."""

    def __post_init__(self):
        known = (REVIEWS, *FUNCTIONS)
        for task in self.tasks:
            if task not in known:
                raise ValueError(f"tasks: {task!r} is unknown; choose from {', '.join(known)}")
        if len(set(self.seeds)) < 2:
            raise ValueError(f"seeds must be two or more, for a standard error; got {self.seeds}")


def main(settings: Settings) -> Report:
    """Prints the table, and adds it to results/noise_bits.jsonl."""
    report = Report("noise_bits", COLUMNS, settings, names=3)
    for task in settings.tasks:
        of_law = _reviews(settings) if task == REVIEWS else _function(task, settings)
        finest = None
        for bits in BITS:
            losses = of_law(zojax.gaussian(bits=bits))
            finest = losses if finest is None else finest
            report.row(task, bits, len(settings.seeds), *compared(losses, finest))
    return report


def compared(losses: np.ndarray, finest: np.ndarray) -> tuple[float, ...]:
    """Mean, its standard error, and the difference to the finest law, plain and in such errors."""
    error = standard_error(losses)
    difference = float(np.mean(losses - finest))
    of_both = math.hypot(error, standard_error(finest))
    return float(np.mean(losses)), error, difference, difference / of_both if of_both else 0.0


def standard_error(losses: np.ndarray) -> float:
    """Of the mean of independent losses."""
    return float(np.std(losses, ddof=1) / math.sqrt(len(losses)))


def _function(name: str, settings: Settings) -> Callable[[zojax.Sampler], np.ndarray]:
    """(law) -> ln of the function at the end, for every seed; all seeds side by side."""
    loss, rate = FUNCTIONS[name], RATES[name]

    def trained(sampler: zojax.Sampler) -> np.ndarray:
        @jax.jit
        @jax.vmap
        def run(seed):
            start, key = jax.random.split(jax.random.key(seed))
            tx = zojax.mezo(rate, key, sampler=sampler)

            def step(_, carry):
                params, state = carry
                updates, state = tx.update(None, state, params, value_fn=loss)
                return optax.apply_updates(params, updates), state

            params = jax.random.normal(start, (settings.dim,))
            params, _ = jax.lax.fori_loop(
                0, settings.function_steps, step, (params, tx.init(params))
            )
            return loss(params)

        return np.log(run(np.asarray(settings.seeds)))

    return trained


def _reviews(settings: Settings) -> Callable[[zojax.Sampler], np.ndarray]:
    """(law) -> the validation loss after the last step, for every seed."""
    with tempfile.TemporaryDirectory() as folder:
        of_run = RunSettings(steps=settings.steps, out=Path(folder) / "run")
        job = prepare(of_run)
    judge = make_evaluate(
        job.task,
        job.processor,
        lambda params: nnx.merge(job.graphdef, params),
        batch_size=2 * of_run.batch_size,
        layout=job.layout,
    )

    def value_fn(params, batch):
        return job.objective.value_fn(nnx.merge(job.graphdef, params), batch)

    def trained(sampler: zojax.Sampler) -> np.ndarray:
        def mezo(seed: int) -> optax.GradientTransformationExtraArgs:
            key = jax.random.key(seed)
            return zojax.mezo(of_run.learning_rate, key, radius=of_run.radius, sampler=sampler)

        step = training.make_step(mezo(0), value_fn)  # a run's key is in its state
        losses = []
        for seed in settings.seeds:
            params = jax.tree.map(lambda leaf: leaf.copy(), job.params)
            state = mezo(seed).init(params)
            for batch in _batches(job, dataclasses.replace(of_run, seed=seed)):
                params, state, _ = step(params, state, batch=batch)
            losses.append(judge(params, job.splits["validation"]).loss)
        return np.asarray(losses)

    return trained


def _batches(job: Job, of_run: RunSettings) -> Iterator[dict[str, np.ndarray]]:
    data = job.objective.data
    order = training.batches(len(data.lengths()), of_run.batch_size, of_run.seed)
    for rows in order[: of_run.steps]:
        yield data.batch(rows, rows)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main(tyro.cli(Settings))
