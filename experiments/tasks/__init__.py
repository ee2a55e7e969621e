"""Tasks: records of what is asked, their data, encodings, losses, scores and metrics.

`load_task(name)` returns a `Task` and its examples; `encode_splits` makes arrays of them;
`Task.loss` and `Task.scores` are pure functions of a model and a batch; `evaluate` judges.
"""

from experiments.tasks._columns import strip_texts
from experiments.tasks._countdown import Countdown, solved
from experiments.tasks._countdown import puzzles as countdown_puzzles
from experiments.tasks._countdown import reward as countdown_reward
from experiments.tasks._data import find_task, is_named, kind_of, load_task
from experiments.tasks._demonstrations import with_demonstrations
from experiments.tasks._encoding import Encoded, encode_candidates
from experiments.tasks._evaluation import Evaluation, evaluate, score_split, write_answers
from experiments.tasks._example import Example, ImageExample, MaskedExample, TextExample
from experiments.tasks._image_encoding import ImageFormat, ImageSplit
from experiments.tasks._kinds import Choice, Classification, Generation, Images, Kind, Masked
from experiments.tasks._masked_encoding import MaskedSplit
from experiments.tasks._metrics import METRICS, accuracy, exact_match, f1, macro_f1
from experiments.tasks._objectives import accuracy_loss, end_tokens, f1_loss, token_classes
from experiments.tasks._prompts import Prompts
from experiments.tasks._sampling import PerClass, Sampling
from experiments.tasks._scores import (
    answer_loss,
    image_loss,
    image_scores,
    masked_loss,
    masked_scores,
    option_loss,
    option_scores,
    text_loss,
    text_scores,
    types_for,
)
from experiments.tasks._splits import Split, encode_splits
from experiments.tasks._table import TASKS, Description, describe
from experiments.tasks._task import Digits, Hub, Source, Task
from experiments.tasks._text_classification import TextClassification
from experiments.tasks._text_encoding import TextSplit

__all__ = [
    "METRICS",
    "TASKS",
    "Choice",
    "Classification",
    "Countdown",
    "Description",
    "Digits",
    "Encoded",
    "Evaluation",
    "Example",
    "Generation",
    "Hub",
    "ImageExample",
    "ImageFormat",
    "ImageSplit",
    "Images",
    "Kind",
    "Masked",
    "MaskedExample",
    "MaskedSplit",
    "PerClass",
    "Prompts",
    "Sampling",
    "Source",
    "Split",
    "Task",
    "TextClassification",
    "TextExample",
    "TextSplit",
    "accuracy",
    "accuracy_loss",
    "answer_loss",
    "countdown_puzzles",
    "countdown_reward",
    "describe",
    "encode_candidates",
    "encode_splits",
    "end_tokens",
    "evaluate",
    "exact_match",
    "f1",
    "f1_loss",
    "find_task",
    "image_loss",
    "image_scores",
    "is_named",
    "kind_of",
    "load_task",
    "macro_f1",
    "masked_loss",
    "masked_scores",
    "option_loss",
    "option_scores",
    "score_split",
    "solved",
    "strip_texts",
    "text_loss",
    "text_scores",
    "token_classes",
    "types_for",
    "with_demonstrations",
    "write_answers",
]
