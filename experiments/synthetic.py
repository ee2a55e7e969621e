"""Do averaged baselines and reused queries help? ZoAR's experiment on four synthetic functions.

    python -m experiments.synthetic --dim 10000 --steps 20000

From N(0, I), two rules (ZO-AdaMM in the plain form of the group's papers, R-AdaZO) meet three
estimates: forward differences (Vanilla, K + 1 evaluations a step), differences to the average of
the step's own losses (ZoAR-0, K evaluations), and the same over this step and the `history` steps
before it (ZoAR, K evaluations). The table has ln of the loss at the end, averaged over seeds. At
the published settings it has the published values beside it; expected is a difference of at most
0.10, and 0.02 on Ackley.

Settings, functions and published values: Qiu, Xie, Yan, Yang, Shu, arXiv:2506.14460, and the
authors' code. Our divisor n - 1 for their n changes nothing under these two rules.
"""

import functools
import itertools
import json
import multiprocessing
import os
import platform
from pathlib import Path
from typing import Any

import jax
import optax
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._synthetic_plot import plot
from experiments._synthetic_run import Configuration, run
from experiments._synthetic_settings import Settings
from experiments._synthetic_table import ESTIMATORS, mean_logs, table
from experiments._vectors import use_wide_vectors


def synthetic(settings: Settings) -> list[dict[str, Any]]:
    """Runs what is asked for; writes records, plot and table, and returns the records."""
    settings.out.mkdir(parents=True, exist_ok=True)
    path = settings.out / "synthetic.jsonl"
    # The longest first, so that no process is left alone with one of them.
    order = sorted(settings.estimators, key=ESTIMATORS.index, reverse=True)
    asked = [
        Configuration(function, rule, estimator)
        for estimator, function, rule in itertools.product(
            order, settings.functions, settings.rules
        )
    ]
    done = _recorded(path, settings) if settings.resume else {}
    records = [done[configuration] for configuration in asked if configuration in done]
    missing = [configuration for configuration in asked if configuration not in done]
    print(f"{len(missing)} configurations to run, {len(records)} recorded", flush=True)
    for record in _run_all(missing, settings):
        _append(path, record, settings)
        records.append(record)
        print(_line(record, f"{len(records)}/{len(asked)}"), flush=True)
    plot(records, settings.out / "synthetic.png", compared=settings.published())
    print("\n" + table(records, compared=settings.published()))
    print(f"\nrecords and plot: {path}, {settings.out / 'synthetic.png'}")
    return records


def _run_all(configurations: list[Configuration], settings: Settings):
    """Yields records as they come."""
    job = functools.partial(run, settings=settings)
    if settings.processes == 1 or len(configurations) < 2:
        yield from map(job, configurations)
        return
    # jax does not survive a fork. Leaving the pool, by an interruption too, ends the processes.
    context = multiprocessing.get_context("spawn")
    workers = min(settings.processes, len(configurations))
    with context.Pool(workers, _use_one_core) as pool:
        yield from pool.imap_unordered(job, configurations)


def _use_one_core() -> None:
    """Before jax looks at the device: its threads would only wait for one another here."""
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    os.environ["NPROC"] = "1"


def _recorded(path: Path, settings: Settings) -> dict[Configuration, dict[str, Any]]:
    """What the file has for these settings; of several records the last."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines if line]
    return {
        Configuration(*(record[name] for name in Configuration._fields)): record
        for record in records
        if record["settings"] == settings.numeric()
    }


def _append(path: Path, record: dict[str, Any], settings: Settings) -> None:
    record |= {
        "ln_final": mean_logs(record)[-1],
        "settings": settings.numeric(),
        "device": jax.devices()[0].device_kind,
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "optax": optax.__version__,
        },
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _line(record: dict[str, Any], place: str) -> str:
    name = ", ".join(record[field] for field in Configuration._fields)
    withheld = record["num_nonfinite"]
    return f"{place} {name}: ln f {record['ln_final']:.3f}, {record['seconds']:.0f} s" + (
        f", {withheld} updates withheld" if withheld else ""
    )


def main() -> None:
    try:
        settings = tyro.cli(Settings, description=__doc__)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    try:
        synthetic(settings)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; --resume keeps the configurations that are done") from None


if __name__ == "__main__":
    use_wide_vectors()
    keep_compiled_programs()
    main()
