"""Between cases and the code that makes them: every `repr` here is an expression."""

from typing import Any

import zojax
from tests.fuzz import cases, losses, methods, samplers, trees

_NAMES = {
    "zojax": zojax,
    **vars(samplers),
    **vars(trees),
    **vars(methods),
    **vars(cases),
    **vars(losses),
    **{operation.__name__: operation for operation in losses.OPERATIONS},
}


def read(code: str) -> Any:
    """The case, or the run of a method, that this code makes."""
    return eval(code, _NAMES)
