"""Which weights decay, by their paths."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

# Those that papers and their codes leave out.
BIASES_AND_NORMS = ("bias", "scale")


def decay_mask(skip: Sequence[str] | None) -> Callable[[Any], Any]:
    """Returns a mask as `optax.add_decayed_weights` takes it: params -> a tree of booleans.

    Args:
      skip: what does not decay, by the ends of paths such as "mlp/kernel"; None: biases, and the
        scales of norms.

    Raises:
      ValueError: by the mask, if an end that was given is that of no path.
    """

    def mask(params: Any) -> Any:
        paths = [_name(path) for path, _ in jax.tree.leaves_with_path(params)]
        for end in skip or ():
            if not any(_ends(path, end) for path in paths):
                raise ValueError(
                    f"weight_decay_skip {end!r} is the end of no path of a weight that is trained; "
                    f"they are {', '.join(paths[:4])}{', ...' if len(paths) > 4 else ''}"
                )
        ends = BIASES_AND_NORMS if skip is None else skip
        return jax.tree.map_with_path(
            lambda path, _: not any(_ends(_name(path), end) for end in ends), params
        )

    return mask


def _name(path: tuple[Any, ...]) -> str:
    """The path of a variable; the array is its value, which Flax counts as a step of its own."""
    if path[-1] == jax.tree_util.GetAttrKey("value"):
        path = path[:-1]
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _ends(path: str, end: str) -> bool:
    return f"/{path}".endswith(f"/{end}")
