"""The line of the user's code that an equation of a traced program comes from."""

import contextlib
from pathlib import Path
from typing import Any

from jax.extend import core, source_info_util

_LIBRARY = str(Path(__file__).parents[1])


def line_of(source: source_info_util.SourceInfo) -> str:
    """The innermost line that belongs to no installed package, "file:line (function)"."""
    frame = _user_frame(source.traceback)
    if frame is None:
        return source_info_util.summarize(source) or "an unknown line"
    return f"{frame.file_name}:{frame.line_num} ({frame.function_name})"


def on_line_of(eqn: core.JaxprEqn) -> contextlib.AbstractContextManager[Any]:
    """What is traced in this context belongs to the line of `eqn`, if that is one of the user's.

    The body of a jitted function of JAX (`jnp.sort`) names only lines of JAX: it belongs to the
    line that calls it.
    """
    if _user_frame(eqn.source_info.traceback) is None:
        return contextlib.nullcontext()
    return source_info_util.user_context(eqn.source_info.traceback)


def _user_frame(traceback: Any) -> Any:
    for frame in traceback.frames if traceback is not None else ():
        if "site-packages" not in frame.file_name and not frame.file_name.startswith(_LIBRARY):
            return frame
    return None
