"""Does ZO-Muon beat MeZO on a vision transformer, at equally many loss evaluations?

    python -m experiments.digits                    a few minutes on 2 cores

The data are scikit-learn's handwritten digits, 8 by 8 pixels. A small ViT is trained on the digits
0 to 4 by `optax.adamw`; its classifier is then set to zero, and all weights are trained on the
digits 5 to 9 by `zojax.zo_muon` and by `zojax.mezo`, from the same start, with the same batch size
and the same number of loss evaluations. Both learning rates decay linearly to zero.

The learning rate of each method is searched with the same effort: one run at each of six values,
half a decade apart, with a seed of its own; the least validation loss decides. (ZO-Muon has a
second learning rate, for biases and norms, which is not searched.) Three other seeds, which draw
other directions and batches, then give the table. Expected: the mean test accuracy of ZO-Muon is
higher and its mean test loss lower.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._digits_run import Split, halves, pretrain, scorer, trainer
from experiments._digits_settings import EVALUATIONS, GRIDS, Settings
from experiments._vectors import use_wide_vectors

RESULTS = Path(__file__).parent / "results" / "digits.jsonl"
METHODS = tuple(EVALUATIONS)
SEARCH_SEED = 1000
QUICK = {"evaluations": 18, "width": 8, "depth": 1, "rank": 2, "batch_size": 4}
QUICK |= {"pretrain_steps": 3}


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table and the verdict, writes results/digits.jsonl, and returns its rows."""
    clock = time.perf_counter()
    if settings.quick:
        settings = dataclasses.replace(settings, **QUICK)
    first, second = halves()
    model = pretrain(settings, first["train"])
    score = scorer(model)
    sizes = ", ".join(f"{len(split.labels)} {name}" for name, split in second.items())
    weights = sum(leaf.size for leaf in jax.tree.leaves(model.params))
    print(f"{weights:,} weights; {sizes}; {settings.evaluations:,} loss evaluations a run\n")
    runs = [_start(score, model.params, second)]
    for method in METHODS:
        train = trainer(method, settings, model, second["train"])
        runs += _search(method, train, score, second)
        best = min(runs[-len(GRIDS[method]) :], key=lambda run: run["validation_loss"])
        if best["learning_rate"] in (GRIDS[method][0], GRIDS[method][-1]):
            print(f"the best learning rate of {method} is at the edge of its grid")
        for seed in settings.seeds:
            run = _run(method, train, best["learning_rate"], seed, score, second)
            runs.append(run | {"table": "final"})
    rows = runs + _summary(runs) + _judged(runs)
    print(f"\n{time.perf_counter() - clock:.0f} s")
    if not settings.quick:
        kept = {
            "settings": dataclasses.asdict(settings),
            "device": jax.devices()[0].device_kind,
            "jax": jax.__version__,
        }
        RESULTS.write_text("".join(json.dumps({**row, **kept}) + "\n" for row in rows))
    return rows


def _start(score: Any, params: Any, data: dict[str, Split]) -> dict[str, Any]:
    accuracy, loss = score(params, data["test"])
    return {"table": "start", "test_accuracy": float(accuracy), "test_loss": float(loss)}


def _search(method: str, train: Any, score: Any, data: dict[str, Split]) -> list[dict[str, Any]]:
    """One run for every learning rate of the grid."""
    runs = []
    for rate in GRIDS[method]:
        run = _run(method, train, rate, SEARCH_SEED, score, data)
        del run["test_accuracy"], run["test_loss"]  # the choice must not depend on them
        runs.append(run | {"table": "search"})
        print(f"search: {method} at {rate:g}: validation loss {run['validation_loss']:.3f}")
    return runs


def _run(
    method: str, train: Any, rate: float, seed: int, score: Any, data: dict[str, Split]
) -> dict[str, Any]:
    params, evaluations, withheld = train(rate, seed)
    record = {"method": method, "learning_rate": rate, "seed": seed}
    for name in ("validation", "test"):
        accuracy, loss = score(params, data[name])
        record |= {f"{name}_accuracy": float(accuracy), f"{name}_loss": _finite(loss)}
    return record | {"loss_evaluations": int(evaluations), "num_nonfinite": int(withheld)}


def _finite(loss: jax.Array) -> float:
    """A run that diverged has the largest number that JSON can hold, not nan."""
    return float(loss) if np.isfinite(loss) else float(np.finfo(np.float32).max)


def _summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds, printed."""
    columns = ("method", "learning rate", "loss evaluations", "test accuracy", "test loss")
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    start = runs[0]
    print(f"| start | | 0 | {start['test_accuracy']:.1%} | {start['test_loss']:.3f} |")
    rows = []
    for method in METHODS:
        finals = _finals(runs, method)
        row = {"table": "summary", "method": method}
        row |= {name: finals[0][name] for name in ("learning_rate", "loss_evaluations")}
        for name in ("test_accuracy", "test_loss"):
            values = [run[name] for run in finals]
            row[name] = float(np.mean(values))
            row[f"{name}_deviation"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        rows.append(row)
        print(
            f"| {method} | {row['learning_rate']:g} | {row['loss_evaluations']:,} "
            f"| {row['test_accuracy']:.1%} ± {row['test_accuracy_deviation']:.1%} "
            f"| {row['test_loss']:.3f} ± {row['test_loss_deviation']:.3f} |"
        )
    return rows


def _judged(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whether ZO-Muon is the better one, at as many evaluations."""
    counts = {run["loss_evaluations"] for run in runs if "loss_evaluations" in run}
    means = {
        (method, name): float(np.mean([run[name] for run in _finals(runs, method)]))
        for method in METHODS
        for name in ("test_accuracy", "test_loss")
    }
    accuracy = means["zo_muon", "test_accuracy"] - means["mezo", "test_accuracy"]
    loss = means["zo_muon", "test_loss"] - means["mezo", "test_loss"]
    text = (
        f"zo_muon against mezo: accuracy {accuracy:+.1%}, loss {loss:+.3f}, "
        f"at {' and '.join(map(str, sorted(counts)))} evaluations"
    )
    passed = accuracy > 0 and loss < 0 and len(counts) == 1
    print(f"\n{'PASS' if passed else 'FAIL'}  {text}")
    return [{"table": "verdict", "text": text, "pass": passed}]


def _finals(runs: list[dict[str, Any]], method: str) -> list[dict[str, Any]]:
    return [run for run in runs if run["table"] == "final" and run["method"] == method]


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main(tyro.cli(Settings, description=__doc__))
