"""What a method of `finetune` is made of: its defaults, and how it is built from settings."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import optax

import zojax
from experiments._schedules import scaled
from zojax import Axes

NO_AXES = Axes()
LAWS = ("gaussian", "rademacher", "sphere", "coordinate", "factored")


class MethodSettings(Protocol):
    """What a method is told of the settings of a run; nothing that it needs is None there."""

    @property
    def rate(self) -> optax.ScalarOrSchedule: ...
    @property
    def radius(self) -> float: ...
    @property
    def num_queries(self) -> int: ...
    @property
    def sampler(self) -> str: ...
    @property
    def sampler_rank(self) -> int: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def weight_decay_mask(self) -> Callable[[Any], Any]: ...
    @property
    def accumulate(self) -> int: ...


# settings, key, chunk size (1 if left out), axes of the mesh (none if left out)
Method = Callable[..., optax.GradientTransformationExtraArgs]


class Recipe(NamedTuple):
    """A method and its defaults.

    Attributes:
      make: builds it from settings in which nothing is None, a key, how many directions are
        evaluated side by side, which the settings may leave open, and the axes of the mesh.
      evaluations: loss evaluations an update, given its directions.
      learning_rate: for all weights.
      lora_learning_rate: for LoRA.
      radius: for all weights.
      num_queries: directions an update.
      samplers: the laws that it can be given; the first is its own. Empty for a method that takes
        gradients: it has neither directions nor a radius.
      sampler_rank: the rank of its own factored directions.
      prefix_learning_rate: for a prefix; None where it was not searched, and LoRA's is taken.
      needs_lora: whether it only trains LoRA adapters.
      one_direction: whether an update takes a single one.
      is_descent: whether an update is the estimate times the learning rate, for all weights.
      at_first: loss evaluations of the first update besides, and of others now and then; below 0
        if these have fewer.
      reads_inputs: whether directions are made of what layers are given, so that a step cannot be
        made again from its losses, and depends on what a batch is padded with.
    """

    make: Method
    evaluations: Callable[[int | None], int]
    learning_rate: float
    lora_learning_rate: float
    radius: float = 1e-3
    num_queries: int = 1
    samplers: tuple[str, ...] = LAWS
    sampler_rank: int = 1
    prefix_learning_rate: float | None = None
    needs_lora: bool = False
    one_direction: bool = False
    is_descent: bool = False
    at_first: int = 0
    reads_inputs: bool = False

    def rate(self, adapter: str) -> float:
        """The learning rate for what is trained: "none" for all weights, "lora" or "prefix"."""
        if adapter == "none":
            return self.learning_rate
        return (adapter == "prefix" and self.prefix_learning_rate) or self.lora_learning_rate

    @property
    def takes_gradients(self) -> bool:
        """Whether an update is made of a gradient, not of losses alone."""
        return not self.samplers


SAMPLERS: dict[str, Callable[[MethodSettings], zojax.Sampler]] = {
    "gaussian": lambda settings: zojax.gaussian(),
    "rademacher": lambda settings: zojax.rademacher(),
    "sphere": lambda settings: zojax.sphere(),
    "coordinate": lambda settings: zojax.coordinate(),
    "factored": lambda settings: zojax.factored(settings.sampler_rank),
}


def common(settings: MethodSettings, axes: Axes) -> dict[str, Any]:
    """What every method without gradients is told."""
    return {
        "radius": settings.radius,
        "weight_decay": settings.weight_decay,
        "weight_decay_mask": settings.weight_decay_mask,
        "accumulate": settings.accumulate,
        "axes": axes,
    }


# What a method may be told of the settings beside `common`, by the names of its arguments.
_TOLD: dict[str, Callable[[MethodSettings], Any]] = {
    "num_queries": lambda settings: settings.num_queries,
    "candidates": lambda settings: settings.num_queries,
    "sampler": lambda settings: SAMPLERS[settings.sampler](settings),
    "rank": lambda settings: settings.sampler_rank,
    # The ratio in ZO-Muon's code for vision models; its code for OPT-13B has 1e-5.
    "learning_rate_1d": lambda settings: scaled(1e-2, settings.rate),
}
OF_ITS_CHOICE = ("num_queries", "sampler")
LOW_RANK = ("num_queries", "rank")


def made(
    method: Callable[..., Any], *, told: tuple[str, ...] = OF_ITS_CHOICE, **options: Any
) -> Method:
    """A method that is told some of the settings, and given other options as they are."""

    def make(
        settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = NO_AXES
    ) -> optax.GradientTransformationExtraArgs:
        return method(
            settings.rate,
            key,
            chunk_size=chunk_size,
            **{name: _TOLD[name](settings) for name in told},
            **common(settings, axes),
            **options,
        )

    return make
