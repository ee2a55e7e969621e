"""Rules for what a loss says about where a weight lies: it holds for the weight, not for its noise.

So a weight that the loss gathers is gathered once, before it is perturbed.
"""

import dataclasses
from typing import Any

import jax
import quax
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from zojax.evaluation._perturbed import Perturbed


@quax.register(jax.lax.sharding_constraint_p)
def _(leaf: Perturbed, **params):
    leaf = leaf.settled()
    return dataclasses.replace(leaf, base=jax.lax.sharding_constraint_p.bind(leaf.base, **params))


def _reshard(leaf: Perturbed, *, dst_sharding, **params):
    """As the loss asks; what the noise is drawn from is a few words, and goes everywhere."""
    leaf = leaf.settled()

    def everywhere(x: jax.Array) -> jax.Array:
        sharding = NamedSharding(dst_sharding.mesh, PartitionSpec(*[None] * x.ndim))
        return _RESHARD.bind(x, dst_sharding=sharding, **params)

    recipe, radius = jax.tree.map(everywhere, (leaf.recipe, leaf.radius))
    base = _RESHARD.bind(leaf.base, dst_sharding=dst_sharding, **params)
    return dataclasses.replace(leaf, base=base, recipe=recipe, radius=radius)


def _primitive_of_reshard() -> Any:
    """The primitive behind `jax.sharding.reshard`, which has no public name."""
    mesh = AbstractMesh((1,), ("x",), axis_types=(AxisType.Explicit,))
    with jax.sharding.use_abstract_mesh(mesh):
        jaxpr = jax.make_jaxpr(lambda x: jax.sharding.reshard(x, PartitionSpec()))(
            jax.ShapeDtypeStruct((), "float32")
        )
    return jaxpr.eqns[-1].primitive


_RESHARD = _primitive_of_reshard()
quax.register(_RESHARD)(_reshard)
