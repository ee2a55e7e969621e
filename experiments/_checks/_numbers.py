"""Settings that are numbers."""

import math
from typing import Any

from experiments._groups import LOG_EVERY

_COUNTS = ("steps", "batch_size", "eval_every", "rank", "prefix_length", "accumulate")
_COUNTS += ("keep_best", "nonfinite_patience")
_OPTIONAL_COUNTS = ("num_queries", "sampler_rank", "decay_steps", "patience", "save_every")
_POSITIVE = ("learning_rate", "radius", "scale", "memory_budget_gib", "save_minutes")


def check_numbers(settings: Any) -> None:
    """Counts are at least 1, other numbers above 0 and finite."""
    for name in (*_COUNTS, *_OPTIONAL_COUNTS):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    for name in _POSITIVE:
        value = getattr(settings, name)
        if value not in (None, "auto") and not 0 < value < math.inf:
            raise ValueError(f"{name} must be above 0 and finite; got {value}")
    if settings.chunk_size not in (None, "auto") and settings.chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, or auto; got {settings.chunk_size}")
    if not 1 <= settings.steps_per_call <= LOG_EVERY:
        raise ValueError(
            f"steps_per_call must lie between 1 and {LOG_EVERY}, the updates between two lines "
            f"of the log; got {settings.steps_per_call}"
        )
    if settings.keep_last < 2:
        raise ValueError(
            "keep_last must be at least 2, so that one checkpoint is whole while another is "
            f"written; got {settings.keep_last}"
        )
    if settings.seed < 0:
        raise ValueError(f"seed must be at least 0; got {settings.seed}")
    _check_regularization(settings)
    if settings.batch_size % settings.accumulate:
        raise ValueError(
            f"accumulate {settings.accumulate} cannot cut batch_size {settings.batch_size} into "
            "equal parts; choose a divisor"
        )


def _check_regularization(settings: Any) -> None:
    if not 0 <= settings.weight_decay < math.inf:
        raise ValueError(f"weight_decay must be at least 0 and finite; got {settings.weight_decay}")
    if settings.weight_decay_skip is not None and not settings.weight_decay:
        raise ValueError(
            "weight_decay_skip says what a weight_decay leaves out, and that is 0; give it a value"
        )
    if settings.ema_decay is not None and not 0 <= settings.ema_decay < 1:
        raise ValueError(
            f"ema_decay must be at least 0 and below 1, such as 0.99; got {settings.ema_decay}"
        )
