"""What does an adapter's scale do to the signal of one atom, and to training with noise?

    python -m experiments.ar1_signal                    a few minutes on 2 cores

Signal. On a Flax model with adapters and a loss that is linear in its weights, `zojax.ar1_zo`
measures slopes δ without noise and δ̂ with noise of size σ in every loss, of many directions at the
adapter's start. Printed for ranks 1 to 64: the signal √mean(δ²), measured and by equation (6) of
the method's card; the ratio mean(δ²) / mean((δ̂ - δ)²), measured and as 2 μ² τ²/σ²; and how often δ̂
has the sign of δ, measured and as ½ + arctan(√ratio)/π. Expected slopes in log-log: under α/r -1
for the signal and -2 for the ratio, under AR1's scale 0 for both, each within 0.1.

Training. ½‖s A B - W*‖² with noise (see `_ar1_toy.py`): final over initial loss at the best
learning rate, for the whole adapter at once (`zojax.mezo`) and for atoms, under both scales.
Expected at σ = 0.03 and rank 64: atoms under α/r at least 0.9, under AR1's scale at most 0.2; and
the whole adapter at AR1's scale better still.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from experiments._ar1_slopes import measured
from experiments._ar1_toy import GRID, final_losses
from experiments._compilation_cache import keep_compiled_programs
from experiments._vectors import use_wide_vectors
from zojax import lora

RESULTS = Path(__file__).parent / "results" / "ar1_signal.jsonl"
SCALES = ("α/r", "α")
FORMS = tuple(f"{method}, s={scale}" for method in ("full", "atom") for scale in SCALES)
# Final / initial loss by (rank, σ) for FORMS: an earlier run of the same problem, written
# independently. Its draws are others, and the norm of its W* is not known.
REFERENCE = {
    (4, 0.0): (0.000, 0.000, 0.000, 0.000),
    (16, 0.0): (0.001, 0.002, 0.002, 0.000),
    (64, 0.0): (0.000, 0.000, 0.540, 0.001),
    (4, 0.03): (0.016, 0.004, 0.086, 0.015),
    (16, 0.03): (0.039, 0.006, 0.404, 0.043),
    (64, 0.03): (0.182, 0.007, 0.952, 0.095),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the AR1 experiment.

    Attributes:
      alpha: α; AR1's scale is s = α at every rank.
      radius: μ of the signal.
      noise: σ.
      directions: slopes that a signal is measured with.
      ranks: of the signal.
      toy_ranks: of the training.
      steps: of the training.
      seeds: of the training.
      quick: fewer of everything, and no file.
    """

    alpha: float = 2.0
    radius: float = 1e-2
    noise: float = 0.03
    directions: int = 2048
    ranks: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    toy_ranks: tuple[int, ...] = (4, 16, 64)
    steps: int = 4000
    seeds: int = 2
    quick: bool = False


QUICK = {"directions": 512, "ranks": (1, 8, 64), "toy_ranks": (8,), "steps": 100, "seeds": 1}


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints both tables and the verdicts, writes results/ar1_signal.jsonl, returns its rows."""
    if settings.quick:
        settings = dataclasses.replace(settings, **QUICK)
    signal, verdicts = signals(settings)
    toy, toy_verdicts = training(settings)
    rows = signal + toy + verdicts + toy_verdicts
    if not settings.quick:
        kept = {
            "settings": dataclasses.asdict(settings),
            "device": jax.devices()[0].device_kind,
            "jax": jax.__version__,
        }
        RESULTS.write_text("".join(json.dumps({**row, **kept}) + "\n" for row in rows))
    return rows


def signals(settings: Settings) -> tuple[list[dict], list[dict]]:
    """The rows of the first table, and the slopes."""
    columns = ("signal", "eq. (6)", "ratio", "2μ²τ²/σ²", "sign", "closed form")
    options = {name: getattr(settings, name) for name in ("radius", "noise", "directions")}
    _header("scale", "rank", "s", *columns)
    rows = []
    for name in SCALES:
        for rank in settings.ranks:
            s = lora.canonical_scale(settings.alpha, rank)
            s = s if name == "α/r" else lora.ar1_scale(settings.alpha)
            row = {"table": "signal", "scale": name, "rank": rank, "s": s}
            numbers = measured(rank, s, **options)
            rows.append(row | dict(zip(columns, numbers, strict=True)))
            _line(rows[-1])
    print()
    verdicts = []
    for name, expected in (("α/r", (-1, -2)), ("α", (0, 0))):
        mine = [row for row in rows if row["scale"] == name]
        for column, slope in zip(("signal", "ratio"), expected, strict=True):
            logs = [np.log([row[key] for row in mine]) for key in ("rank", column)]
            found = float(np.polyfit(*logs, 1)[0])
            text = f"slope of the {column} under {name}: {found:+.3f}, expected {slope} ± 0.1"
            verdicts.append(_verdict(text, found, abs(found - slope) <= 0.1))
    return rows, verdicts


def training(settings: Settings) -> tuple[list[dict], list[dict]]:
    """The rows of the second table, and whether atoms need AR1's scale."""
    _header("rank", "σ", *(f"{form} (reference)" for form in FORMS), "log₁₀ η s²")
    rows = []
    for rank in settings.toy_ranks:
        best = _best_of_grid(settings, rank)
        for noise in (0.0, settings.noise):
            row = {"table": "training", "rank": rank, "noise": noise}
            rows.append(row | {form: best[form, noise] for form in FORMS})
            reference = () if settings.quick else REFERENCE.get((rank, noise), ())
            _training_line(rows[-1], reference)
    return rows, [] if settings.quick else _judged(rows[-1])


def _best_of_grid(settings: Settings, rank: int) -> dict[tuple[str, float], dict[str, float]]:
    """Mean over seeds at the best learning rate, and that rate, by (form, noise)."""
    noises = (0.0, settings.noise)
    scales = [lora.canonical_scale(settings.alpha, rank), lora.ar1_scale(settings.alpha)]
    best = {}
    for method in ("full", "atom"):
        losses = final_losses(method, rank, scales, noises, settings.seeds, settings.steps)
        for (scale, noise), ratios in _grids(losses.mean(axis=2)):
            rate = int(ratios.argmin())
            found = {"ratio": float(ratios[rate]), "η s²": float(GRID[rate])}
            best[f"{method}, s={SCALES[scale]}", noises[noise]] = found
    return best


def _grids(losses: np.ndarray):
    return ((place, losses[place]) for place in np.ndindex(losses.shape[:2]))


def _training_line(row: dict[str, Any], reference: tuple[float, ...]) -> None:
    found = [row[form] for form in FORMS]
    cells = [f"{one['ratio']:.3f}" for one in found]
    if reference:
        cells = [f"{cell} ({other:.3f})" for cell, other in zip(cells, reference, strict=True)]
    rates = " ".join(f"{np.log10(one['η s²']):g}" for one in found)
    print(f"| {row['rank']} | {row['noise']:g} | {' | '.join(cells)} | {rates} |", flush=True)


def _judged(row: dict[str, Any]) -> list[dict]:
    """What is expected of the last row, that of the highest rank, with noise."""
    print()
    full, canonical, restored = (row[form]["ratio"] for form in FORMS[1:])
    at = f"at σ={row['noise']:g}, rank {row['rank']}:"
    text = f"atoms under α/r {at} {canonical:.3f}, at least 0.9"
    return [
        _verdict(text, canonical, canonical >= 0.9),
        _verdict(f"atoms under α {at} {restored:.3f}, at most 0.2", restored, restored <= 0.2),
        _verdict(f"whole adapter under α {at} {full:.3f}, less than that", full, full <= restored),
    ]


def _verdict(text: str, value: float, passed: bool) -> dict[str, Any]:  # noqa: FBT001
    print(f"{'PASS' if passed else 'FAIL'}  {text}", flush=True)
    return {"table": "verdict", "text": text, "value": value, "pass": bool(passed)}


def _header(*columns: str) -> None:
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)


def _line(row: dict[str, Any]) -> None:
    values = list(row.values())[1:]
    shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
    print("| " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main(tyro.cli(Settings))
