"""Keeps compiled programs on disk: a second run of an experiment starts without compiling."""

import os
from pathlib import Path

import jax

# Shorter compilations come by the hundred, and take hardly longer than reading a file.
_MIN_SECONDS = 0.2


def keep_compiled_programs() -> None:
    """Switches jax's persistent compilation cache on; call it before anything is compiled.

    What the environment says goes first: JAX_COMPILATION_CACHE_DIR names another folder,
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS the programs that are worth a file, and
    JAX_ENABLE_COMPILATION_CACHE=false switches the cache off.
    """
    options = {
        "jax_compilation_cache_dir": str(cache_folder()),
        "jax_persistent_cache_min_compile_time_secs": _MIN_SECONDS,
    }
    for name, value in options.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
            os.environ[name.upper()] = str(value)  # for the processes that this one starts


def cache_folder() -> Path:
    """The folder for compiled programs, in the user's cache (XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "zojax"
