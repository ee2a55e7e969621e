"""What a run of `finetune` is made of."""

import dataclasses
from pathlib import Path
from typing import Literal

from experiments._adapters import ADAPTERS
from experiments._layout import SHARDS, parse_mesh
from experiments._methods import METHODS, SAMPLERS
from experiments._objectives import OBJECTIVES

# float16 is left out: attention in float16 does not run on CPU, and bfloat16 does everywhere.
DTYPES = ("float32", "bfloat16")
# Updates between two lines of the log.
LOG_EVERY = 10
# What only a method without gradients has.
_OF_DIRECTIONS = (
    "radius",
    "num_queries",
    "sampler",
    "sampler_rank",
    "chunk_size",
    "memory_budget_gib",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run is made of; on one machine it determines every weight that comes out."""

    model: str = "opt-reviews"
    """Shipped name (--list-models), folder, or Hugging Face id of a checkpoint."""
    allow_pickle: bool = False
    """Read pytorch_model.bin where the checkpoint has nothing else; needs torch, runs no code."""
    task: str = "reviews"
    """Name (--list-tasks), NAME@FOLDER with the data, a folder with train, validation and test as
    .jsonl, .json, .csv, .tsv (or these .gz) or .parquet, or one such file."""
    template: str | None = None
    """Text with {fields} of the data and {option} at its end, or a {mask}; None: the task's own."""
    options: tuple[str, ...] | None = None
    """Words to choose from, in the order of the labels; None: the task's own."""
    num_train: int | None = None
    """Examples to train on (of each class, where a word is masked); None: as the task says."""
    num_dev: int | None = None
    """Examples to choose a checkpoint by, likewise."""
    num_test: int | None = None
    """Examples to report on."""
    data_seed: int | None = None
    """Chooses these examples; None: as the task says."""
    objective: Literal[tuple(OBJECTIVES)] = "loss"
    """What is minimized: the task's loss, or, without gradients, 1 - accuracy or 1 - F1."""
    method: Literal[tuple(METHODS)] = "mezo"
    """How an update is made; adamw takes gradients, for comparison."""
    adapter: Literal[tuple(ADAPTERS)] | None = None
    """What is trained: all weights, LoRA, or a prefix; None: what the method needs."""
    rank: int = 8
    """Rank of LoRA."""
    scale: float = 2.0
    """What the product of LoRA's factors is multiplied with (its alpha / rank)."""
    targets: tuple[str, ...] | None = None
    """Layers that get LoRA, by the ends of their paths; None: those of queries and values."""
    prefix_length: int = 5
    """Positions of a prefix."""
    steps: int = 600
    """Updates."""
    batch_size: int = 16
    """Examples an update."""
    learning_rate: float | None = None
    """Constant over the run; None: the method's own, for the shipped model."""
    radius: float | None = None
    """How far from the weights the loss is probed (the papers' epsilon); None: the method's own."""
    num_queries: int | None = None
    """Directions probed an update; None: the method's own."""
    sampler: Literal[tuple(SAMPLERS)] | None = None
    """Law of the directions; None: the method's own."""
    sampler_rank: int | None = None
    """Rank of factored directions (also of ZO-Muon's); None: the method's own."""
    chunk_size: int | Literal["auto"] | None = None
    """Directions evaluated side by side; None: auto, the most that fit into the memory budget."""
    memory_budget_gib: float | None = None
    """For auto; None: 90 % of what jax has of the device, or, where that is not known (CPU), 1.05
    times what an update needs with one direction at a time."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights."""
    max_length: int | None = None
    """Longer texts lose tokens on the left; None: what the model can, at most 2048."""
    eval_every: int = 100
    """Updates between evaluations; each comes with a checkpoint."""
    steps_per_call: int = 1
    """Updates in one call of the device, where so many batches in a row have one shape; pays for
    models so small that a call takes about as long as an update."""
    seed: int = 0
    """Of the directions, of a new adapter, and of the order of the data."""
    out: Path = Path("runs/finetune")
    """Folder for all that the run writes."""
    resume: bool = False
    """Continue the run in --out from its latest checkpoint."""
    mesh: str | None = None
    """How the devices stand, such as data=2,model=4: data shares out batches, model weights (see
    --shard), query directions; None: data over all of them."""
    shard: Literal[SHARDS] = "none"
    """How weights lie: whole on every device, stored in parts (fsdp), or every product in parts
    (tensor)."""

    def __post_init__(self):
        # A notebook may pass paths as strings, and strings as paths.
        for name, kind in (("model", str), ("task", str), ("out", Path)):
            self._set(name, kind(getattr(self, name)))
        self._check_names()
        self._check_together()
        self._fill()
        self._check_numbers()
        self._check_mesh()

    @property
    def axes(self) -> dict[str, int] | None:
        """Those of the mesh, by name."""
        return None if self.mesh is None else parse_mesh(self.mesh)

    def _check_mesh(self):
        axes, recipe = self.axes or {}, METHODS[self.method]
        if self.shard == "tensor" and "model" not in axes:
            raise ValueError(
                f"shard tensor cuts products over the axis model; got mesh {self.mesh!r}: say "
                "--mesh model=N, with N devices"
            )
        if self.shard == "fsdp" and axes and not {"data", "model"} & axes.keys():
            raise ValueError(
                f"shard fsdp stores weights over the axis data or model; got mesh {self.mesh!r}: "
                "add one of them"
            )
        if self.shard == "none" and axes.get("model", 1) > 1:
            raise ValueError(
                f"mesh {self.mesh!r} has an axis model, which shard none does not use; choose "
                "--shard fsdp or tensor, or leave the axis out"
            )
        if "query" in axes and recipe.takes_gradients:
            raise ValueError(
                f"mesh {self.mesh!r} shares out directions, and method {self.method!r} has none; "
                "leave the axis query out"
            )
        if "query" in axes and self.num_queries % axes["query"]:
            raise ValueError(
                f"num_queries {self.num_queries} cannot be shared out evenly among query="
                f"{axes['query']} of the mesh; choose a multiple"
            )

    def _check_names(self):
        known = {"method": METHODS, "dtype": DTYPES, "objective": OBJECTIVES}
        known |= {"adapter": (None, *ADAPTERS), "sampler": (None, *SAMPLERS), "shard": SHARDS}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} is unknown; choose from "
                    f"{', '.join(choice for choice in choices if choice)}"
                )

    def _check_together(self):
        recipe = METHODS[self.method]
        if recipe.takes_gradients:
            self._check_gradients()
        if self.memory_budget_gib is not None and self.chunk_size not in (None, "auto"):
            raise ValueError(
                f"memory_budget_gib is what chunk_size auto is chosen by; got chunk_size "
                f"{self.chunk_size} as well: leave one of them out"
            )
        if self.sampler not in (None, *recipe.samplers):
            raise ValueError(
                f"sampler {self.sampler!r} does not go with method {self.method!r}; leave it out, "
                f"or choose from {', '.join(recipe.samplers)}"
            )
        if recipe.one_direction and (self.num_queries or 1) > 1:
            raise ValueError(
                f"num_queries {self.num_queries} does not go with method {self.method!r}, which "
                "takes one direction an update; leave it out"
            )
        if self.adapter not in (None, "lora") and recipe.needs_lora:
            raise ValueError(
                f"method {self.method!r} trains the atoms of an adapter; use --adapter lora"
            )

    def _check_gradients(self):
        for name in _OF_DIRECTIONS:
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name} does not go with method {self.method!r}, which takes gradients; "
                    "leave it out"
                )
        if self.objective != "loss":
            raise ValueError(
                f"objective {self.objective!r} has no gradient, and method {self.method!r} takes "
                "one; choose another method"
            )

    def _check_numbers(self):
        counts = ("steps", "batch_size", "eval_every", "rank", "prefix_length")
        for name in (*counts, "num_queries", "sampler_rank"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        if self.chunk_size not in (None, "auto") and self.chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, or auto; got {self.chunk_size}")
        for name in ("learning_rate", "radius", "scale", "memory_budget_gib"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be above 0 and finite; got {value}")
        if not 1 <= self.steps_per_call <= LOG_EVERY:
            raise ValueError(
                f"steps_per_call must lie between 1 and {LOG_EVERY}, the updates between two lines "
                f"of the log; got {self.steps_per_call}"
            )
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0; got {self.seed}")

    def _fill(self):
        """What was left to the method."""
        recipe = METHODS[self.method]
        if self.adapter is None:
            self._set("adapter", "lora" if recipe.needs_lora else "none")
        own = {"learning_rate": recipe.rate(self.adapter)}
        if not recipe.takes_gradients:
            own |= {
                "radius": ADAPTERS[self.adapter].radius or recipe.radius,
                "num_queries": recipe.num_queries,
                "sampler": recipe.samplers[0],
                "sampler_rank": recipe.sampler_rank,
                "chunk_size": "auto",
            }
        for name, value in own.items():
            if getattr(self, name) is None:
                self._set(name, value)

    def _set(self, name, value):
        object.__setattr__(self, name, value)
