"""The sizes from which the library treats a leaf as a large one, lowered for toy leaves.

They are module attributes; nothing else here knows their places.
"""

import contextlib
import importlib
from collections.abc import Iterator
from unittest import mock

# Where a threshold lives, and a value that toy leaves exceed.
_LOW = {
    ("zojax.directions._dense", "_SHARE"): 0,
    ("zojax.directions._dense", "_LEAST"): 0,
    ("zojax.directions._laws", "_ALONE"): 4,
    ("zojax.directions._laws", "_NARROW"): 2,
    ("zojax.directions._alike", "_SHARE"): 4,
    ("zojax.directions._shared", "_FEWEST"): 2,
    ("zojax.directions._root", "_SHARE"): 0,
    ("zojax.directions._root", "_LEAST_BLOCK"): 3,
    ("zojax.directions._root", "_PATIENCE"): 1,
    ("zojax.directions._isotropic", "_AT_ONCE"): 3,
    ("zojax.directions._bent_sums", "_AT_ONCE"): 3,
    ("zojax.directions._factors", "FUSED_RANK"): 1,
    ("zojax.directions._sampler", "FUSED_RANK"): 1,
    ("zojax.evaluation._contractions", "FUSED_RANK"): 1,
    ("zojax.directions._sampler", "_UNROLLED"): 2,
    ("zojax.directions._sampler", "_LARGE"): 4,
    ("zojax.evaluation._evaluate", "_SHARE"): 0,
    ("zojax.evaluation._evaluate", "_LEAST_BLOCK"): 3,
    ("zojax.evaluation._contractions", "_PATIENCE"): 1,
    ("zojax.evaluation._contractions", "_TRAFFIC"): 0,
}


@contextlib.contextmanager
def lowered(on: bool = True) -> Iterator[None]:
    """Everything traced inside takes the paths of large leaves; with `on=False` nothing changes."""
    with contextlib.ExitStack() as stack:
        for (module, name), low in _LOW.items() if on else ():
            stack.enter_context(mock.patch.object(importlib.import_module(module), name, low))
        yield
