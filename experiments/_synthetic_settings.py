"""What a run of the synthetic experiment is made of."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any, Literal

from experiments._functions import FUNCTIONS
from experiments._synthetic_table import ESTIMATORS, RULES

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
