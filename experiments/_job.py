"""What a run needs before its first step: data and a model that fit together."""

from typing import Any, NamedTuple

import jax
from flax import nnx

from experiments import tasks
from experiments._adapters import ADAPTERS, adapt, classifier_of
from experiments._config_file import to_yaml
from experiments._heads import choose_head
from experiments._inputs import checked_length, load_model, model_source
from experiments._layout import Layout
from experiments._methods import METHODS
from experiments._objectives import Objective, make_objective
from experiments._processes import failing_together, is_first
from experiments._run_folder import check_folder
from experiments._settings import Settings
from zojax import models

# Where the key of a new adapter branches off that of the directions, beyond any step.
_ADAPTER = 2**31 - 1


class Job(NamedTuple):
    """What is read before a run starts.

    Attributes:
      graphdef: the model without its weights.
      params: what is trained: all weights, or those of an adapter and a classifier.
      frozen: what is not.
      processor: of the model: a tokenizer, or the form of its pictures.
      task: what the data are about.
      splits: train, validation and test.
      objective: what is minimized.
      layout: where the weights lie, and where batches go.
    """

    graphdef: nnx.GraphDef
    params: nnx.State
    frozen: nnx.State
    processor: Any
    task: tasks.Task
    splits: dict[str, tasks.Split]
    objective: Objective
    layout: Layout


def prepare(settings: Settings) -> Job:
    """Reads data and model, and checks that they fit and that the folder is free; writes nothing.

    Every process reads for itself; the first one looks at the folder.

    Raises:
      ValueError: for settings or data that cannot be used, by any of the processes.
    """
    with failing_together():
        return _prepare(settings)


def _prepare(settings: Settings) -> Job:
    if is_first():
        check_folder(settings.out, to_yaml(settings), resume=settings.resume)
    layout = Layout(settings.part_size, settings.axes, settings.shard)
    answers = choose_head(
        model_source(settings.model),
        settings.task,
        head=settings.head,
        template=settings.template,
        options=settings.options,
        allow_pickle=settings.allow_pickle,
    )
    task, examples = tasks.load_task(
        settings.task,
        head=answers.head,
        template=settings.template,
        options=answers.options,
        num_train=settings.num_train,
        num_dev=settings.num_dev,
        num_test=settings.num_test,
        data_seed=settings.data_seed,
        metric=settings.metric,
    )
    if settings.batch_size > len(examples["train"]):
        raise ValueError(
            f"batch_size {settings.batch_size} is larger than the train split with its "
            f"{len(examples['train'])} examples; choose a smaller one"
        )
    key = adapter_key(settings)
    model, processor = load_model(
        settings.model,
        settings.dtype,
        task,
        key,
        layout.placement,
        allow_pickle=settings.allow_pickle,
    )
    adapter = ADAPTERS[settings.adapter]
    max_length = checked_length(settings.max_length, model, taken=adapter.positions(settings))
    splits = tasks.encode_splits(processor, examples, max_length=max_length, task=task)
    objective = make_objective(settings.objective, task, splits["train"], processor)
    graphdef, *weights = split_trained(model, settings)
    params, frozen = layout.replicate(weights)
    return Job(graphdef, params, frozen, processor, task, splits, objective, layout)


def split_trained(
    model: nnx.Module, settings: Settings
) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """The model before the first step in three: its structure, what is trained, and the rest.

    All of it follows from the checkpoint and the settings: `experiments.replay` begins here, too.
    """
    model = adapt(model, settings, adapter_key(settings))
    return nnx.split(model, _trained(model, settings), ...)


def _trained(model: nnx.Module, settings: Settings) -> Any:
    """A filter of what is trained: that of the adapter, and a classifier beside it."""
    own, classifier = ADAPTERS[settings.adapter].trained, classifier_of(model)
    if not classifier or METHODS[settings.method].needs_lora:  # that knows nothing but atoms
        return own
    return nnx.Any(own, models.in_modules(model, classifier))


def run_key(settings: Settings) -> jax.Array:
    """The key of a run."""
    return jax.random.key(settings.seed)


def adapter_key(settings: Settings) -> jax.Array:
    """The key that a new adapter or classifier of a run starts from."""
    return jax.random.fold_in(run_key(settings), _ADAPTER)
