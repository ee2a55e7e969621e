"""Where the params of a form lie on a mesh, by the rules of `zojax.models`."""

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zojax.models._placement import Rule


def lies(params: Any, rule: Rule | None, mesh: Mesh) -> Any:
    """The sharding of every leaf; without a rule it is whole on every device."""

    def of_leaf(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        names = jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
        spec = rule(tuple(names.split(".")), leaf.shape) if rule else PartitionSpec()
        return NamedSharding(mesh, spec)

    return jax.tree.map_with_path(of_leaf, params)
