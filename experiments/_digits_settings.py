"""What a run of the digits experiment is made of, and the learning rates that are searched."""

import dataclasses

EVALUATIONS = {"mezo": lambda num_queries: 2, "zo_muon": lambda num_queries: num_queries + 1}
GRIDS = {  # half decades
    "mezo": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "zo_muon": (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the digits experiment.

    Attributes:
      evaluations: loss evaluations of every run.
      seeds: of the table.
      batch_size: images that a loss is averaged over.
      num_queries: directions of a step of ZO-Muon, which has one evaluation more.
      rank: of ZO-Muon's subspaces.
      period: steps that a subspace lasts.
      radius: how far along a direction the loss is evaluated.
      learning_rate_1d: of the leaves that ZO-Muon does not see as matrices, at the start.
      width: of the model.
      depth: of the model.
      pretrain_steps: updates by first order.
      quick: fewer of everything, and no file.
    """

    evaluations: int = 1800
    seeds: tuple[int, ...] = (0, 1, 2)
    batch_size: int = 32
    num_queries: int = 8
    rank: int = 16
    period: int = 50
    radius: float = 1e-3
    learning_rate_1d: float = 1e-3
    width: int = 48
    depth: int = 4
    pretrain_steps: int = 300
    quick: bool = False

    def __post_init__(self):
        for method, evaluations in EVALUATIONS.items():
            step = evaluations(self.num_queries)
            if self.evaluations < step or self.evaluations % step:
                raise ValueError(
                    f"evaluations must be a multiple of {step}, what a step of {method} needs, so "
                    f"that all methods have equally many; got {self.evaluations}"
                )
