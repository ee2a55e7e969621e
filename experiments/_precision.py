"""How updates reach weights of few bits, and warnings of what such weights cannot take in."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from rich.console import Console
from rich.markup import escape

import zojax
from zojax import training

# Leaves that a warning names.
_LISTED = 3


class PrecisionSettings(Protocol):
    """What is asked of the settings of a run."""

    @property
    def dtype(self) -> str: ...
    @property
    def update_precision(self) -> str: ...


Transformation = optax.GradientTransformationExtraArgs

UPDATE_PRECISIONS: dict[str, Callable[[Transformation, jax.Array], Transformation]] = {
    "stochastic": zojax.round_stochastically,
    "nearest": lambda tx, key: tx,
    "float32_masters": lambda tx, key: zojax.keep_float32_masters(tx),
}


def with_update_precision(
    tx: Transformation, settings: PrecisionSettings, key: jax.Array
) -> Transformation:
    """The optimizer whose updates reach weights of 16 bits as settings say."""
    if settings.dtype == "float32":
        return tx
    return UPDATE_PRECISIONS[settings.update_precision](tx, key)


def warn_of_small_radius(console: Console, params: Any, radius: float | None) -> None:
    """Says on which leaves the loss is not probed, because the radius is lost in rounding."""
    lost = training.lost_changes(params, radius or 0.0)
    if lost:
        _warn(
            console,
            f"radius {radius:g} is lost in rounding",
            lost,
            "take a larger --radius, or --dtype float32",
        )


def warn_of_small_updates(console: Console, params: Any, sizes: jax.Array) -> None:
    """Says which leaves an update that is rounded to nearest does not move.

    Args:
      console: where to say it.
      params: before the update.
      sizes: of its entries, by leaf, as `training.make_update_sizes` says.
    """
    lost = training.lost_changes(params, jax.device_get(sizes))
    if lost:
        _warn(
            console,
            "the first update is lost in rounding",
            lost,
            "take --update-precision stochastic, a larger --learning-rate, or --dtype float32",
        )


def _warn(console: Console, what: str, lost: list[training.LostChange], remedy: str) -> None:
    lost = sorted(lost, key=lambda one: one.change / one.half_spacing)
    named = "; ".join(
        f"{one.path} (typical weight {one.weight:.1e} in {jnp.dtype(one.dtype).name}: below "
        f"{one.half_spacing:.1e} nothing changes it, and the change is {one.change:.1e})"
        for one in lost[:_LISTED]
    )
    rest = f" and {len(lost) - _LISTED} more leaves" if len(lost) > _LISTED else ""
    console.print(
        f"[yellow]warning[/] {escape(f'{what} on {named}{rest}: {remedy}')}",
        highlight=False,
        soft_wrap=not console.is_terminal,
    )
