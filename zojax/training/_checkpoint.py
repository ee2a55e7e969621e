"""Checkpoints from which a run continues bit by bit, or not at all."""

import concurrent.futures
import contextlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers

from zojax.training._broken_checkpoints import CheckpointError, set_broken_aside
from zojax.training._files import cause_of
from zojax.training._manifest import find_fault, write_manifest

# A loss that is not finite or not known; JSON has no infinity.
_WORST = sys.float_info.max


class Checkpoints:
    """The latest and the best checkpoints of a run, kept by orbax in a folder.

    A checkpoint is what a step needs, the params and the state of the transformation, and a
    loss by which checkpoints are compared. Leaves are stored under their paths in the trees,
    typed PRNG keys among them. Arrays come back bit for bit, with the shardings of the trees
    given to `restore`.

    Every checkpoint has a manifest with the SHA-256 of each of its files, the last file that is
    written. Opening the folder reads them all and compares: a checkpoint with a file that is
    missing, cut short or changed, or without a manifest, is set aside in the folder `broken`, with
    a warning, and the others are used. One process at a time may have the folder open, or the
    processes of one run, which all have to do the same; the first of them checks and lists.

    Args:
      folder: where the checkpoints are; made if missing. Of several processes, a folder that all
        of them see.
      keep_last: how many of the latest to keep, at least 2: while one is written, or if it should
        break, there is one before it.
      keep_best: how many of those with the least loss to keep, at least 1.

    Raises:
      ValueError: for numbers out of range.
      CheckpointError: if there are checkpoints and each of them is broken.
      OSError: if the folder cannot be made.
    """

    def __init__(self, folder: str | Path, *, keep_last: int = 2, keep_best: int = 1):
        for name, number, least in (("keep_last", keep_last, 2), ("keep_best", keep_best, 1)):
            if number < least:
                raise ValueError(f"{name} must be at least {least}; got {number}")
        self._folder = Path(folder).absolute()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._set_broken_aside()
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(keep_last),
                checkpoint_managers.BestN(get_metric_fn=_loss, reverse=True, n=keep_best),
            ]
        )
        self._manager = ocp.CheckpointManager(
            self._folder,
            item_handlers={part: ocp.StandardCheckpointHandler() for part in ("params", "state")},
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=_loss,
                best_mode="min",
                cleanup_tmp_directories=True,
            ),
        )
        self._check_same_folder()
        self._losses = {
            step: _loss(self._manager.metrics(step)) for step in self._manager.all_steps()
        }
        # A thread that waits for orbax, and then makes the manifest while the run goes on.
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._saving: concurrent.futures.Future[None] | None = None

    @property
    def latest_step(self) -> int | None:
        """The step of the latest checkpoint, None without any."""
        return self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        """The step of the checkpoint with the least loss, None without any."""
        return self._manager.best_step()

    @property
    def best_loss(self) -> float:
        """The least loss of a checkpoint; inf where none has a finite one."""
        losses = (self._losses[step] for step in self._manager.all_steps())
        return min((loss for loss in losses if loss < _WORST), default=math.inf)

    def save(self, step: int, params: Any, state: Any, *, loss: float = math.inf) -> None:
        """Stores a checkpoint; the arrays may be donated as soon as this returns.

        Files are written while the run goes on; `wait`, the next `save` and `close` wait for them.

        Args:
          step: how many updates made these params.
          params: a tree of arrays.
          state: a tree of arrays and typed PRNG keys.
          loss: what `best_step` compares, the smaller the better; one that is not finite, or not
            known, counts as the worst.

        Raises:
          OSError: with the folder and the cause, if this one or the one before cannot be written.
            No more can be saved then; once there is room, open the folder anew.
        """
        self.wait()
        self._losses[step] = loss if math.isfinite(loss) else _WORST
        with self._words(step):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    params=ocp.args.StandardSave(_named_leaves(params)),
                    state=ocp.args.StandardSave(_named_leaves(state)),
                ),
                metrics={"loss": self._losses[step]},
            )
        self._saving = self._thread.submit(self._complete, step)

    def wait(self) -> None:
        """Waits until the checkpoint under way is whole.

        Raises:
          OSError: with the folder and the cause, if it cannot be written.
        """
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def check(self) -> None:
        """Sets those aside that have broken since they were written, as opening the folder does.

        Raises:
          CheckpointError: if each of them is broken.
        """
        self.wait()
        self._set_broken_aside()
        self._manager.reload()

    def restore(self, step: int, **trees: Any) -> list[Any]:
        """Returns the parts that are named, `params` or `state` or both, in the order given.

        Args:
          step: of which checkpoint, such as `latest_step`.
          **trees: for each part a tree with the structure, shapes, dtypes and shardings to
            restore. Its leaves may be `jax.ShapeDtypeStruct`, so that no second copy of the
            weights has to be alive.

        Raises:
          CheckpointError: if the checkpoint is not whole, or holds other leaves or shapes than the
            tree.
        """
        self.wait()
        self._check_whole(step)
        wanted = {
            part: _named_leaves(jax.tree.map(_abstract, tree)) for part, tree in trees.items()
        }
        stored = self._manager.item_metadata(step)
        for part, leaves in wanted.items():
            _check(part, stored[part].tree, leaves)
        arguments = {part: ocp.args.StandardRestore(leaves) for part, leaves in wanted.items()}
        restored = self._manager.restore(step, args=ocp.args.Composite(**arguments))
        return [
            # orbax sorts the names
            jax.tree.unflatten(jax.tree.structure(tree), [restored[part][n] for n in wanted[part]])
            for part, tree in trees.items()
        ]

    def close(self) -> None:
        """Waits until everything is on disk."""
        try:
            self.wait()
        except OSError:
            with contextlib.suppress(Exception):  # the same once more
                self._manager.close()
            raise
        finally:
            self._thread.shutdown()
        self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self.close()
        # After an error a checkpoint under way may wait in vain for the part of another process.
        elif jax.process_count() == 1:
            with contextlib.suppress(Exception):  # there is one already, maybe this very one
                self.close()

    def _complete(self, step: int) -> None:
        with self._words(step):
            self._manager.wait_until_finished()
            if jax.process_index() == 0:
                write_manifest(self._folder / str(step))

    @contextlib.contextmanager
    def _words(self, step: int) -> Iterator[None]:
        """What orbax and tensorstore say of a full disk, in one line."""
        try:
            yield
        except Exception as error:
            cause = cause_of(error)
            if cause is None:
                raise
            number, text = cause
            where = str(self._folder / str(step))
            raise OSError(number, text, where) from error

    def _set_broken_aside(self) -> None:
        if jax.process_index() == 0:
            set_broken_aside(self._folder)
        multihost_utils.sync_global_devices(f"checked {self._folder}")

    def _check_whole(self, step: int) -> None:
        fault = find_fault(self._folder / str(step)) if jax.process_index() == 0 else None
        if multihost_utils.broadcast_one_to_all(np.int32(fault is not None)):
            raise CheckpointError(
                f"checkpoint {self._folder / str(step)} is not whole: "
                f"{fault or 'so the first process says'}; start again with what is there, and "
                "the one before it is used"
            )

    def _check_same_folder(self) -> None:
        step = -1 if self.latest_step is None else self.latest_step
        first = int(multihost_utils.broadcast_one_to_all(np.int32(step)))
        if step != first:
            raise CheckpointError(
                f"process {jax.process_index()} finds the latest checkpoint in {self._folder} at "
                f"step {step}, and the first process at {first} (-1: none); choose a folder that "
                "all processes see"
            )


def _loss(metrics: dict[str, float]) -> float:
    return metrics["loss"]


def _named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path: orbax then needs to know no container, and a folder can be read by eye."""
    paths_and_leaves, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths_and_leaves}


def _check(part: str, stored: dict[str, Any], wanted: dict[str, jax.ShapeDtypeStruct]) -> None:
    # orbax checks too, but late: it may then leave reads under way whose loop is closed.
    if different := sorted(stored.keys() ^ wanted.keys()):
        raise CheckpointError(
            f"{part}: the checkpoint and the tree given do not have the same leaves; only one of "
            f"them has {', '.join(different)}"
        )
    for name, leaf in wanted.items():
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # stored as its words
        if not is_key and tuple(stored[name].shape) != leaf.shape:
            raise CheckpointError(
                f"{part}{name} has shape {tuple(stored[name].shape)} in the checkpoint, but "
                f"{leaf.shape} in the tree given"
            )


def _abstract(leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
