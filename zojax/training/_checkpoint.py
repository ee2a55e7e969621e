"""Checkpoints from which a run continues bit by bit."""

import math
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers


class Checkpoints:
    """The latest and the best checkpoint of a run, kept by orbax in a folder.

    A checkpoint is what a step needs, the params and the state of the transformation, and a
    loss by which checkpoints are compared. Leaves are stored under their paths in the trees,
    typed PRNG keys among them. Arrays come back bit for bit, with the shardings of the trees
    given to `restore`.

    Args:
      folder: where the checkpoints are; made if missing.
    """

    def __init__(self, folder: str | Path):
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(get_metric_fn=_loss, reverse=True, n=1),
            ]
        )
        self._manager = ocp.CheckpointManager(
            Path(folder).absolute(),
            item_handlers={part: ocp.StandardCheckpointHandler() for part in ("params", "state")},
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep, best_fn=_loss, best_mode="min"
            ),
        )

    @property
    def latest_step(self) -> int | None:
        """The step of the latest checkpoint, None without any."""
        return self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        """The step of the checkpoint with the least loss, None without any."""
        return self._manager.best_step()

    def save(self, step: int, params: Any, state: Any, *, loss: float) -> None:
        """Stores a checkpoint; the arrays may be donated as soon as this returns.

        Args:
          step: how many updates made these params.
          params: a tree of arrays.
          state: a tree of arrays and typed PRNG keys.
          loss: what `best_step` compares, the smaller the better; nan counts as the worst.
        """
        self._manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(_named_leaves(params)),
                state=ocp.args.StandardSave(_named_leaves(state)),
            ),
            metrics={"loss": loss if math.isfinite(loss) else sys.float_info.max},
        )

    def restore(self, step: int, **trees: Any) -> list[Any]:
        """Returns the parts that are named, `params` or `state` or both, in the order given.

        Args:
          step: of which checkpoint, such as `latest_step`.
          **trees: for each part a tree with the structure, shapes, dtypes and shardings to
            restore. Its leaves may be `jax.ShapeDtypeStruct`, so that no second copy of the
            weights has to be alive.

        Raises:
          ValueError: if the checkpoint holds other leaves or shapes than the tree.
        """
        self._manager.wait_until_finished()
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
        self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        # After an error a checkpoint under way may wait in vain for the part of another process.
        if kind is None or jax.process_count() == 1:
            self.close()


def _loss(metrics: dict[str, float]) -> float:
    return metrics["loss"]


def _named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path: orbax then needs to know no container, and a folder can be read by eye."""
    paths_and_leaves, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths_and_leaves}


def _check(part: str, stored: dict[str, Any], wanted: dict[str, jax.ShapeDtypeStruct]) -> None:
    # orbax checks too, but late: it may then leave reads under way whose loop is closed.
    if different := sorted(stored.keys() ^ wanted.keys()):
        raise ValueError(
            f"{part}: the checkpoint and the tree given do not have the same leaves; only one of "
            f"them has {', '.join(different)}"
        )
    for name, leaf in wanted.items():
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # stored as its words
        if not is_key and tuple(stored[name].shape) != leaf.shape:
            raise ValueError(
                f"{part}{name} has shape {tuple(stored[name].shape)} in the checkpoint, but "
                f"{leaf.shape} in the tree given"
            )


def _abstract(leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
