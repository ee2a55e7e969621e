"""Every family end to end: a checkpoint of transformers, three ways to train it, and back.

    python -m experiments.families        needs torch and peft

For each family of `zojax.models`, transformers writes a small random checkpoint. Three runs of
`experiments.finetune` train it: MeZO on all weights, AR1-ZO on a LoRA adapter, MeZO on a prefix.
transformers (and PEFT, for the adapters) then loads what each run wrote, and its logits are
compared with ours. PEFT has prefixes for decoders alone; for the others the model beside the prefix
is compared.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from rich.console import Console
from rich.table import Table

from experiments import _transformers_models as theirs
from experiments._compilation_cache import keep_compiled_programs
from experiments._settings import Settings as RunSettings
from experiments._vectors import use_wide_vectors
from experiments.finetune import finetune
from zojax import lora, models, prefix

TOLERANCE = 1e-4
WAYS = {
    "mezo": {"method": "mezo", "adapter": "none"},
    "ar1_zo, lora": {"method": "ar1_zo", "adapter": "lora", "rank": 4, "learning_rate": 0.02},
    "mezo, prefix": {"method": "mezo", "adapter": "prefix", "prefix_length": 3},
}
# Where the rate that suits the prefix of a text model is far too large.
RATES = {("vit", "mezo, prefix"): {"learning_rate": 1e-2}}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the tour."""

    families: tuple[str, ...] = tuple(sorted(theirs.TINY))
    """model_type of each."""
    ways: tuple[str, ...] = tuple(WAYS)
    """To train each."""
    steps: int = 60
    """Updates of each run."""
    out: Path = Path("runs/families")
    """Folder for checkpoints and runs; has to be new."""


class Row(NamedTuple):
    """One run.

    Attributes:
      family: its model_type.
      way: how it was trained.
      before: validation loss of the checkpoint.
      after: the least validation loss later.
      difference: largest of |our logits - theirs|, of the model or adapter that was written.
      size: largest of |our logits|.
    """

    family: str
    way: str
    before: float
    after: float
    difference: float
    size: float


def main(settings: Settings) -> list[Row]:
    """Prints a table and returns its rows.

    Raises:
      SystemExit: if logits differ by more than 1e-4.
    """
    chosen = itertools.product(settings.families, settings.ways)
    rows = [_train(family, way, settings) for family, way in chosen]
    _show(rows)
    if bad := [row for row in rows if not row.difference <= TOLERANCE]:
        raise SystemExit(f"{len(bad)} of {len(rows)} differ by more than {TOLERANCE}")
    return rows


def _train(family: str, way: str, settings: Settings) -> Row:
    base = settings.out / family / "checkpoint"
    if not base.exists():
        theirs.write(family, base)
    out = settings.out / family / way.replace(", ", "-")
    kind = theirs.TINY[family].kind
    result = finetune(
        RunSettings(
            model=str(base),
            task=kind.task,
            template=kind.template,
            steps=settings.steps,
            eval_every=max(1, settings.steps // 4),
            batch_size=8,
            num_train=128,
            num_dev=128,
            num_test=64,
            max_length=24,  # every padded length is one more program to compile
            out=out,
            **WAYS[way],
            **RATES.get((family, way), {}),
        )
    )
    differences, size = zip(*_compare(base, out, WAYS[way]["adapter"], kind), strict=True)
    losses = result.loss_before, result.loss_after
    return Row(family, way, *losses, max(differences), max(size))


def _compare(
    base: Path, out: Path, adapter: str, kind: theirs.Kind
) -> Iterator[tuple[float, float]]:
    """(max |difference|, max |logit|) of the model, and of the adapter, that a run wrote."""
    yield _difference(models.from_pretrained(out / "model"), theirs.read(out / "model", kind), kind)
    model = models.from_pretrained(base)
    load = {"lora": lora.load_peft, "prefix": prefix.load_peft}.get(adapter)
    if load is None or (adapter == "prefix" and not hasattr(model, "extend")):
        return
    ours = load(model, out / "adapter")
    yield _difference(ours, theirs.with_adapter(theirs.read(base, kind), out / "adapter"), kind)


def _difference(ours: nnx.Module, other: Any, kind: theirs.Kind) -> tuple[float, float]:
    inputs = kind.inputs(ours.config)
    logits = np.asarray(nnx.jit(lambda model: model(jnp.asarray(inputs)))(ours))
    difference = np.abs(logits - theirs.logits(other, kind, inputs))
    return float(difference.max()), float(np.abs(logits).max())


def _show(rows: list[Row]) -> None:
    table = Table("family", "way", "loss before", "after", "max |difference|", "max |logit|")
    for row in rows:
        numbers = (
            f"{row.before:.4f}",
            f"{row.after:.4f}",
            f"{row.difference:.1e}",
            f"{row.size:.1f}",
        )
        table.add_row(row.family, row.way, *numbers)
    Console().print(table)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main(tyro.cli(Settings, description=__doc__))
