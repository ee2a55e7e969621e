"""What a run of `finetune` is made of."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import optax

from experiments import tasks
from experiments._adapters import ADAPTERS
from experiments._checks import (
    check_mesh,
    check_method,
    check_names,
    check_numbers,
    check_objective,
    check_quantize,
    check_schedule,
    check_wandb,
)
from experiments._decay_mask import decay_mask
from experiments._heads import HEADS
from experiments._layout import SHARDS, parse_mesh
from experiments._methods import METHODS
from experiments._precision import UPDATE_PRECISIONS
from experiments._recipe import SAMPLERS
from experiments._schedules import SCHEDULES, make_schedule

DTYPES = ("float32", "bfloat16", "float16")
# Formats of `zojax.quantization`, which is slow to import.
QUANTIZED = ("int8", "nf4")


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
    head: Literal[HEADS] | None = None
    """What answers: a classifier, which starts anew where the checkpoint has none, or the model's
    words; None: the head of the checkpoint, if it does, else that of words, if the model has it."""
    template: str | None = None
    """Text with {fields} of the data and {option} at its end, or a {mask}; for a classifier with
    neither, and maybe a {sep} between two texts; None: the task's own."""
    options: tuple[str, ...] | None = None
    """Words to choose from, in the order of the labels, or names of classes; None: the task's own,
    or of your data with a classifier, what labels there are."""
    num_train: int | None = None
    """Examples to train on (of each class, where a word is masked); None: as the task says."""
    num_dev: int | None = None
    """Examples to choose a checkpoint by, likewise."""
    num_test: int | None = None
    """Examples to report on."""
    data_seed: int | None = None
    """Chooses these examples; None: as the task says."""
    metric: Literal[tuple(tasks.METRICS)] | None = None
    """How the choice of an option or class is judged; None: as the task says."""
    objective: str = "loss"
    """What is minimized: "loss", that of the task, or, without gradients, "accuracy" for 1 -
    accuracy, "f1" for 1 - F1 of generated answers, or "reward:MODULE:FUNCTION" for minus the
    mean of what a function of yours gives for them."""
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
    learning_rate: float | Literal["auto"] | None = None
    """auto: a short test finds one; None: the method's own, for the shipped model."""
    schedule: Literal[tuple(SCHEDULES)] = "constant"
    """How the learning rate goes on, as optax's schedule of that name does."""
    warmup_steps: int = 0
    """First updates, over which the learning rate grows in a line from 0."""
    decay_steps: int | None = None
    """Updates until a schedule comes to its end, warm-up included; None: steps."""
    end_share: float = 0.0
    """What is left of the learning rate at the end of a schedule, 0 to 1."""
    weight_decay: float = 0.0
    """Decoupled: what an update takes from a weight, times the learning rate."""
    weight_decay_skip: tuple[str, ...] | None = None
    """Weights that do not decay, by the ends of their paths; None: biases and scales of norms."""
    accumulate: int = 1
    """Parts that a batch is evaluated in, one after another: the memory of one part. Losses are
    averaged, so nothing of the size of the weights is stored."""
    ema_decay: float | None = None
    """Evaluate and export the average a of the weights x, a = ema_decay a + (1 - ema_decay) x after
    an update; it takes 4 bytes of memory for each trained weight. None: the weights themselves."""
    patience: int | None = None
    """Stop after so many evaluations in a row without a smaller validation loss; None: never."""
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
    dtype: Literal[DTYPES] = "float32"
    """Of the weights."""
    update_precision: Literal[tuple(UPDATE_PRECISIONS)] = "stochastic"
    """How updates reach weights of 16 bits: rounded at random so that their mean is right, rounded
    to nearest, which loses small ones, or added to float32 copies (4 bytes a weight)."""
    quantize: Literal[QUANTIZED] | None = None
    """Stores the frozen weights of the layers in 8 or 4 bits, beside LoRA or a prefix."""
    max_length: int | None = None
    """Longer texts lose tokens on the left; None: what the model can, at most 2048."""
    eval_every: int = 100
    """Updates between evaluations."""
    save_every: int | None = None
    """Updates between checkpoints; None: each evaluation comes with one."""
    save_minutes: float | None = None
    """Minutes after which the next line of the log comes with a checkpoint; None: no such limit."""
    keep_last: int = 2
    """The latest checkpoints to keep, at least 2: one is whole while another is written."""
    keep_best: int = 1
    """Checkpoints with the least validation loss to keep."""
    nonfinite_patience: int = 20
    """Updates in a row without a finite loss after which the run stops."""
    diagnostics: bool = False
    """Measure curvature and direction of the way with every line of the log, for three more loss
    evaluations each."""
    wandb: bool = False
    """Send the numbers to Weights & Biases, too, by its own library."""
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
        check_names(self)
        check_objective(self)
        check_method(self)
        self._fill()
        check_numbers(self)
        check_schedule(self)
        check_wandb(self)
        check_quantize(self)
        check_mesh(self)

    @property
    def axes(self) -> dict[str, int] | None:
        """Those of the mesh, by name."""
        return None if self.mesh is None else parse_mesh(self.mesh)

    @property
    def part_size(self) -> int:
        """Examples of a batch that are evaluated at a time."""
        return self.batch_size // self.accumulate

    @property
    def rate(self) -> optax.ScalarOrSchedule:
        """The learning rate, by update. As long as it is to be found, the method's own."""
        recipe = METHODS[self.method]
        start = recipe.rate(self.adapter) if self.learning_rate == "auto" else self.learning_rate
        return make_schedule(
            self.schedule,
            start,
            warmup_steps=self.warmup_steps,
            decay_steps=self.decay_steps,
            end=self.end_share * start,
        )

    @property
    def weight_decay_mask(self) -> Callable[[Any], Any]:
        """Of the weights that decay, as optax takes it."""
        return decay_mask(self.weight_decay_skip)

    def _fill(self):
        """What was left to the method."""
        recipe = METHODS[self.method]
        if self.schedule != "constant" and self.decay_steps is None:
            self._set("decay_steps", self.steps)
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
