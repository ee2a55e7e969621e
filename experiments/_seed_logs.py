"""The seed log of a run: what it belongs to, and when it is written."""

import importlib.metadata
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from rich.console import Console
from rich.markup import escape

import zojax
from experiments._config_file import by_name
from experiments._processes import is_first
from experiments._settings import Settings
from zojax import training

FILE = "seed_log.bin"
# Where bits come from besides the program.
_PACKAGES = ("zojax", "jax", "jaxlib", "optax")


def describe_run(
    settings: Settings,
    graphdef: nnx.GraphDef,
    params: Any,
    frozen: Any,
    state: Any,
    *,
    side_by_side: bool = False,
) -> dict[str, Any] | None:
    """The header of the log: all that the params of a step follow from, besides the losses.

    Every array is hashed where it lies, so all processes have to ask.

    Args:
      settings: of the run, with a number for every rate.
      graphdef: the model without its weights.
      params: what is trained, before the first step.
      frozen: what is not.
      state: of the transformation before the first step.
      side_by_side: whether its updates are made in one program with those of other runs.

    Returns:
      None for a method whose update does not follow from a few numbers: no losses are in its state.
    """
    losses = zojax.state_field(state, "last_losses")
    if losses is None:
        return None
    model = nnx.merge(graphdef, params, frozen)
    return {
        "num_losses": losses.size,
        "method": settings.method,
        "side_by_side": side_by_side,
        "settings": by_name(settings),
        "head": model.head,
        "labels": model.config.labels if model.head == "classifier" else None,
        **origin(params, frozen, state),
        **software(),
    }


def origin(params: Any, frozen: Any, state: Any) -> dict[str, Any]:
    """The generator, its key, and every array that a run starts from."""
    key = zojax.state_field(state, "key")
    return {
        "generator": str(jax.random.key_impl(key)),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "params": _arrays(params),
        "frozen": _arrays(frozen),
    }


def software() -> dict[str, Any]:
    """What decides how numbers are rounded."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"versions": versions, "device": jax.devices()[0].device_kind}


def _arrays(tree: Any) -> dict[str, str]:
    """Dtype, shape and hash of every leaf, by path."""
    named = jax.tree.leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape)} {found:08x}"
        for (path, leaf), found in zip(named, training.fingerprint(tree), strict=True)
    }


def bits_of(params: Any) -> int:
    """What a mark says of params, 32 bits; all processes have to ask."""
    return zlib.crc32(training.fingerprint(params).astype("<u4").tobytes())


def check_origin(path: Path, header: dict[str, Any], given: dict[str, Any]) -> None:
    """Raises ValueError, naming the first difference, unless a log belongs to what is given.

    Args:
      path: of the log.
      header: of the log.
      given: what `origin` says of the weights and the state at hand.
    """
    for name in ("generator", "key"):
        if header[name] != given[name]:
            raise ValueError(
                f"{path} belongs to the {name} {header[name]}, but the settings give {given[name]}"
            )
    for part in ("params", "frozen"):
        theirs, ours = header[part], given[part]
        for leaf in sorted(theirs.keys() | ours.keys()):
            if theirs.get(leaf) != ours.get(leaf):
                raise ValueError(
                    f"{path} belongs to another base: {part}{leaf} has dtype, shape and hash "
                    f"{theirs.get(leaf, 'of nothing')} there, but {ours.get(leaf, 'of nothing')} "
                    "in the checkpoint given; give the one that the run started from (--base)"
                )


def is_alone(header: dict[str, Any]) -> bool:
    """Whether the updates of a log were made by the program of a single run."""
    return not header.get("side_by_side", False)


def _check_program(path: Path, header: dict[str, Any], given: dict[str, Any]) -> None:
    if is_alone(header) and not is_alone(given):
        raise ValueError(f"{path} belongs to a run alone, which now goes on side by side")


class RunLog:
    """Writes the log of a run, in the process that does; elsewhere, and without a log, nothing.

    Args:
      log: the open log, None without any.
    """

    def __init__(self, log: training.SeedLog | None):
        self._log = log

    @classmethod
    def open(
        cls, settings: Settings, header: dict[str, Any] | None, start: int, console: Console
    ) -> "RunLog":
        """Begins the log, or goes on behind the step at which the run goes on.

        A log that is missing or damaged then is no reason to lose the run: it goes on without one,
        and says so.
        """
        path = settings.out / FILE
        if header is None:
            console.print(
                f"no seed log: {settings.method} takes gradients, and no few numbers make one again"
            )
        if header is None or not is_first():
            return cls(None)
        if start == 0:
            return cls(training.SeedLog(path, header))
        try:
            log = training.SeedLog.resume(path, start * settings.accumulate)
            check_origin(path, log.header, header)
            _check_program(path, log.header, header)
        except (OSError, ValueError) as error:
            text = f"[red]no seed log from here on:[/] {escape(str(error))}"
            console.print(text, highlight=False, soft_wrap=True)
            return cls(None)
        return cls(log)

    def append(self, losses: np.ndarray | None) -> None:
        """Adds calls, (calls, n); see `training.SeedLog.append`."""
        if self._log is not None:
            self._log.append(losses)

    def mark(self, params: Any, loss: float) -> None:
        """Marks the params before they are a checkpoint: a log is never behind one.

        All processes have to call this.
        """
        found = bits_of(params)
        if self._log is not None:
            self._log.mark(loss, found)
            self._log.sync()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._log is not None:
            self._log.close()
