"""Which devices hold which part of each parameter."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Path = tuple[str, ...]
Rule = Callable[[Path, tuple[int, ...]], PartitionSpec]
Rules = Rule | Sequence[tuple[str, PartitionSpec]]


class Placement(NamedTuple):
    """A mesh and rules by path; without a mesh, the default device.

    Attributes:
      mesh: of the devices, or None.
      rules: a function of path and shape to a spec, or (pattern, spec) pairs. The pattern is the
        end of a dotted path, in whole names and with the wildcards of a shell, such as
        "q_proj.kernel"; the first that matches a parameter gives its spec, over all its axes, that
        of the layer included. What none matches is replicated.
    """

    mesh: Mesh | None
    rules: Rules

    def check(self, shapes: Mapping[Path, tuple[int, ...]]) -> None:
        """Raises ValueError for rules that match nothing, or do not divide what they match."""
        if self.mesh is None:
            if self.rules:
                raise ValueError("rules say how to shard over a mesh; give mesh= as well")
            return
        for pattern, _ in () if callable(self.rules) else self.rules:
            if not any(_matches(path, pattern) for path in shapes):
                raise ValueError(
                    f"rule {pattern!r} matches no parameter of the model, such as "
                    f"{', '.join(_dotted(path) for path in list(shapes)[:3])}"
                )
        for path, shape in shapes.items():
            try:
                sharding = self._sharding(path, shape)
                sharding.check_compatible_aval(shape)
                sharding.shard_shape(shape)
            except ValueError as error:
                raise ValueError(
                    f"the rule for {_dotted(path)}, of shape {shape}, does not fit it: {error}"
                ) from None

    def put(
        self, path: Path, shape: tuple[int, ...], block: Callable[[tuple[slice, ...]], np.ndarray]
    ) -> jax.Array:
        """Makes the parameter; `block` gives the entries of some slices, one for every axis."""
        if self.mesh is None:
            return jnp.asarray(block((slice(None),) * len(shape)))
        return jax.make_array_from_callback(shape, self._sharding(path, shape), block)

    def _sharding(self, path: Path, shape: tuple[int, ...]) -> NamedSharding:
        if callable(self.rules):
            return NamedSharding(self.mesh, self.rules(path, shape))
        specs = (spec for pattern, spec in self.rules if _matches(path, pattern))
        return NamedSharding(self.mesh, next(specs, PartitionSpec()))


def _matches(path: Path, pattern: str) -> bool:
    name = _dotted(path)
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"*.{pattern}")


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))
