"""What a run needs besides a method: batches, a step, checkpoints, metrics, measurements."""

from zojax.training._batches import batches
from zojax.training._checkpoint import Checkpoints
from zojax.training._measure import median_seconds, peak_bytes
from zojax.training._metrics import MetricsWriter, read_metrics
from zojax.training._step import make_step

__all__ = [
    "Checkpoints",
    "MetricsWriter",
    "batches",
    "make_step",
    "median_seconds",
    "peak_bytes",
    "read_metrics",
]
