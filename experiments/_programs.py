"""The programs that a run is made of besides its update, and what calls them."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from experiments import tasks
from experiments._evaluation import make_evaluate
from experiments._export import export
from experiments._job import Job
from experiments._layout import local
from experiments._processes import is_first
from experiments._settings import Settings


def make_loss(job: Job) -> Callable[..., jax.Array]:
    """Returns what is minimized, `(params, frozen, batch) -> ()`."""

    def loss(params, frozen, batch):
        return job.objective.value_fn(nnx.merge(job.graphdef, params, frozen), batch)

    return loss


def make_judge(settings: Settings, job: Job) -> Callable[..., tasks.Evaluation]:
    """Returns `(params, split, watch=...) -> Evaluation`."""
    # An update has two points of a batch in flight, so twice the batch fits as well.
    evaluate = make_evaluate(
        job.task,
        job.processor,
        lambda weights: nnx.merge(job.graphdef, *weights),
        batch_size=2 * settings.part_size,
        layout=job.layout,
    )

    def judge(params, split, **watched):
        return evaluate((params, job.frozen), split, **watched)

    return judge


def by_groups(step: Callable, steps: Callable, **told: Any) -> Callable:
    """Both programs as one function; either is compiled only if there is a group for it.

    Args:
      step: of `training.make_step`.
      steps: of `training.make_steps`.
      **told: what both are told in each call.
    """

    def update(params, state, group):
        if group.size == 1:
            return step(params, state, batch=group.batch, **told)
        return steps(params, state, {"batch": group.batch}, **told)

    return update


def write_model(settings: Settings, job: Job, params: Any) -> None:
    """Writes the model with these params; all processes have to ask."""
    trained, others = local(params), local(job.frozen)
    if is_first():
        export(settings, nnx.merge(job.graphdef, trained, others), job.processor)
