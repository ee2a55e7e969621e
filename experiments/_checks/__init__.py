"""What settings must be, one topic a file.

Each check takes `experiments._settings.Settings` and raises a ValueError that names the setting,
its value and the remedy.
"""

from experiments._checks._mesh import check_mesh
from experiments._checks._method import check_method
from experiments._checks._names import check_names
from experiments._checks._numbers import check_numbers
from experiments._checks._objective import check_objective
from experiments._checks._quantize import check_quantize
from experiments._checks._schedule import check_schedule
from experiments._checks._wandb import check_wandb

__all__ = [
    "check_mesh",
    "check_method",
    "check_names",
    "check_numbers",
    "check_objective",
    "check_quantize",
    "check_schedule",
    "check_wandb",
]
