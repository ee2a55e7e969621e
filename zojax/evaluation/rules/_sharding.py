"""Rules for what a loss says about where a weight lies: it holds for the weight, not for its noise.

So a weight that the loss gathers is gathered once, before it is perturbed.
"""

import dataclasses
from typing import Any

import jax
from jax.extend import core
from jax.sharding import NamedSharding, PartitionSpec

from zojax.evaluation._program import bind


def sharding_constraint(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """The weight lies as the loss asks; its noise wherever the compiler puts it."""
    leaf = operands[0].settled()
    (base,) = bind(eqn, [leaf.base])
    return [dataclasses.replace(leaf, base=base)]


def reshard(eqn: core.JaxprEqn, operands: list[Any]) -> list[Any]:
    """As the loss asks; what the noise is drawn from is a few words, and goes everywhere."""
    leaf = operands[0].settled()
    mesh = eqn.params["dst_sharding"].mesh

    def everywhere(x: jax.Array) -> jax.Array:
        whole = NamedSharding(mesh, PartitionSpec(*[None] * x.ndim))
        return bind(eqn, [x], dst_sharding=whole)[0]

    recipe, radius = jax.tree.map(everywhere, (leaf.recipe, leaf.radius))
    (base,) = bind(eqn, [leaf.base])
    return [dataclasses.replace(leaf, base=base, recipe=recipe, radius=radius)]
