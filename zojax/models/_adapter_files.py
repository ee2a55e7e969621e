"""The two files of an adapter of PEFT, whatever kind it is of."""

from pathlib import Path
from typing import Any

import numpy as np

from zojax.models import _files, _weights

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def read_config(folder: Path) -> dict[str, Any]:
    """Parses `adapter_config.json`.

    Raises:
      FileNotFoundError: if it is missing.
      ValueError: if it is not a JSON object, or leads out of the folder.
    """
    path = _files.inside(folder, CONFIG)
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {CONFIG}, so it is not an adapter of PEFT")
    return _files.read_object(path)


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Reads the tensors of `adapter_model.safetensors`.

    Raises:
      FileNotFoundError: if it is missing.
      ValueError: if it is damaged, leads out of the folder, or holds tensors that are not floating.
    """
    path = _files.inside(folder, WEIGHTS)
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {WEIGHTS}; an adapter_model.bin has to be saved again by PEFT, "
            "with safe_serialization=True"
        )
    tensors = _weights.open_file(path, _weights.SAFETENSORS)
    for name, tensor in tensors.items():
        if not tensor.is_floating:
            raise ValueError(
                f"{path}: {name} has dtype {tensor.dtype}, but adapters are floating numbers of 16 "
                "bits or more; save it without quantization"
            )
    return {name: tensor.whole() for name, tensor in tensors.items()}
