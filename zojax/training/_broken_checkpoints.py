"""Checkpoints whose files are not those that were written: none of them is read."""

import shutil
import warnings
from pathlib import Path

from zojax.training._manifest import MANIFEST, find_fault

# Where they go, in the folder of the others.
_BROKEN = "broken"


class CheckpointError(ValueError):
    """Checkpoints that cannot be used: none is whole, or they are those of something else."""


def set_broken_aside(folder: Path) -> None:
    """Moves the checkpoints of a folder that are not whole into one of their own, with a warning.

    Raises:
      CheckpointError: if none is whole, and one of them was once; all then stay where they are.
    """
    steps = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    faults = {step: find_fault(folder / str(step)) for step in steps}
    broken = {step: fault for step, fault in faults.items() if fault is not None}
    whole = [step for step in steps if step not in broken]
    # One without a manifest has never been finished, and without it the run is at its beginning.
    if not whole and any((folder / str(step) / MANIFEST).exists() for step in broken):
        reasons = "; ".join(f"{step}: {fault}" for step, fault in broken.items())
        raise CheckpointError(
            f"none of the checkpoints in {folder} is whole ({reasons}); bring one back from a "
            "copy, or start the run in another folder"
        )
    for step, fault in broken.items():
        target = folder / _BROKEN / str(step)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        (folder / str(step)).rename(target)
        left = f"the latest whole one is {whole[-1]}" if whole else "there is no other"
        warnings.warn(
            f"checkpoint {step} in {folder} is not whole and was moved to {_BROKEN}/{step}: "
            f"{fault}; {left}",
            stacklevel=5,
        )
