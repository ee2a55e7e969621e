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

import dataclasses
import functools
import itertools
import json
import math
import multiprocessing
import os
import platform
from pathlib import Path
from typing import Any, Literal

import jax
import optax
import tyro

from experiments._compilation_cache import keep_compiled_programs
from experiments._functions import FUNCTIONS
from experiments._synthetic_plot import plot
from experiments._synthetic_run import Configuration, run
from experiments._synthetic_table import ESTIMATORS, RULES, mean_logs, table
from experiments._vectors import use_wide_vectors

# These say what is run or where, and nothing about the numbers that come out.
_NO_SETTING = ("functions", "rules", "estimators", "processes", "out", "resume")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The defaults are the published ones, with three seeds in the place of five."""

    dim: int = 10_000
    """Entries of the vector."""
    steps: int = 20_000
    """Updates."""
    seeds: tuple[int, ...] = (456, 457, 458)
    """Runs that are averaged; each draws its own start and directions. Published: 456 to 460."""
    num_queries: int = 10
    """K, directions a step."""
    history: int = 5
    """N, earlier steps that ZoAR uses again."""
    radius: float = 0.05
    """How far from the vector the loss is probed."""
    learning_rate: float = 1e-3
    """Constant over the run."""
    functions: tuple[Literal["Quadratic", "Levy", "Rosenbrock", "Ackley"], ...] = tuple(FUNCTIONS)
    """Which of them to run."""
    rules: tuple[Literal["ZO-AdaMM", "R-AdaZO"], ...] = RULES
    """Which of them to run."""
    estimators: tuple[Literal["Vanilla", "ZoAR-0", "ZoAR"], ...] = ESTIMATORS
    """Which of them to run."""
    processes: int = os.cpu_count() or 1
    """Configurations that run side by side, each on one core; on an accelerator 1 is best."""
    out: Path = Path(__file__).parent / "results"
    """Folder of synthetic.jsonl, to which results are appended, and synthetic.png."""
    resume: bool = False
    """Take configurations that are there, with the same settings, from synthetic.jsonl."""

    def __post_init__(self):
        object.__setattr__(self, "out", Path(self.out))
        least = {"dim": 2, "steps": 1, "num_queries": 2, "history": 1, "processes": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} must be at least {bound}; got {getattr(self, name)}")
        if not self.seeds or min(self.seeds) < 0:
            raise ValueError(f"seeds must be one or more, each at least 0; got {self.seeds}")
        for name in ("learning_rate", "radius"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite; got {getattr(self, name)}")

    def numeric(self) -> dict[str, Any]:
        """Those that the numbers depend on."""
        settings = dataclasses.asdict(self) | {"seeds": list(self.seeds)}
        return {name: value for name, value in settings.items() if name not in _NO_SETTING}

    def published(self) -> bool:
        """Whether the published values are for these settings."""
        return self.numeric() == dataclasses.replace(Settings(), seeds=self.seeds).numeric()


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
