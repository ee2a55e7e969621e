"""What a run needs besides a method: batches, a step, checkpoints, metrics, measurements."""

from zojax.training._batches import batches
from zojax.training._broken_checkpoints import CheckpointError
from zojax.training._checkpoint import Checkpoints
from zojax.training._chunks import ChunkChoice, choose_chunk_size
from zojax.training._divergence import check_replicas
from zojax.training._files import write_atomically
from zojax.training._hashing import fingerprint
from zojax.training._measure import median_seconds, peak_bytes
from zojax.training._measure import seconds_side_by_side as seconds_side_by_side
from zojax.training._metrics import MetricsWriter, read_metrics
from zojax.training._replay import make_replay
from zojax.training._resolution import LostChange, lost_changes, make_update_sizes
from zojax.training._seed_log import Mark, SeedLog, SeedLogContents, read_seed_log
from zojax.training._step import make_step, make_steps

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "ChunkChoice",
    "LostChange",
    "Mark",
    "MetricsWriter",
    "SeedLog",
    "SeedLogContents",
    "batches",
    "check_replicas",
    "choose_chunk_size",
    "fingerprint",
    "lost_changes",
    "make_replay",
    "make_step",
    "make_steps",
    "make_update_sizes",
    "median_seconds",
    "peak_bytes",
    "read_metrics",
    "read_seed_log",
    "write_atomically",
]
