"""Classification by prompt and option words, as MeZO defines it: records, data, scores."""

from experiments.tasks._data import load_task
from experiments.tasks._encoding import Encoded, encode_splits
from experiments.tasks._evaluation import Evaluation, evaluate
from experiments.tasks._scores import option_loss, option_scores
from experiments.tasks._task import TASKS, Example, Task, accuracy

__all__ = [
    "TASKS",
    "Encoded",
    "Evaluation",
    "Example",
    "Task",
    "accuracy",
    "encode_splits",
    "evaluate",
    "load_task",
    "option_loss",
    "option_scores",
]
