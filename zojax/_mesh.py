"""A step on a mesh: which device evaluates what, and what travels between them."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zojax import _thresholds

AxisName = str | tuple[str, ...]


class Axes(NamedTuple):
    """Mesh axes that a step works along beside those of the batch, which need no name.

    The mesh is that of `jax.set_mesh`. Values do not depend on it: the same key gives the same
    directions on every mesh, and losses that differ by the order of their sums.

    Attributes:
      query: each group along this axis evaluates its share of the directions, num_queries / size
        of them, with all devices of the group; then all have all losses, K P scalars.
      gathered: axes over which weights are stored in parts but used as a whole (FSDP). A weight is
        gathered where it is used, as the plain forward would do, and perturbed then. Left to
        itself, the compiler perturbs first and gathers both points of a pair.
      query_update: who regenerates the directions of an update: "all", each group those of every
        query; "share", each group its own, and then one reduction of the size of the params;
        "auto", the second where all directions are dense, and those of other groups take so many
        random bits (200 an entry: seven of 32 bits, 25 of 8) that it is cheaper to reduce 8 bytes
        an entry.
    """

    query: str | None = None
    gathered: AxisName = ()
    query_update: str = "auto"


def check(axes: Axes, num_queries: int | None = None) -> None:
    """Raises ValueError for an axis that is not there, or does not divide the queries."""
    if axes.query_update not in ("auto", "all", "share"):
        raise ValueError(f"axes.query_update must be auto, all or share, got {axes.query_update!r}")
    sizes = _sizes()
    for name, value in (("query", axes.query), ("gathered", axes.gathered)):
        for axis in _names(value):
            if axis not in sizes and not _is_bound(axis):
                raise ValueError(
                    f"axes.{name} names the mesh axis {axis!r}, but the mesh has "
                    f"{', '.join(map(repr, sizes)) or 'no axes'}; make the mesh known around the "
                    "step: with jax.set_mesh(mesh): ..."
                )
    _check_query_axis(axes.query)
    if num_queries and num_queries % query_groups(axes):
        raise ValueError(
            f"num_queries = {num_queries} cannot be shared out among the {query_groups(axes)} "
            f"groups of the mesh axis {axes.query!r}; choose a multiple"
        )


def _check_query_axis(axis: str | None) -> None:
    if axis is None:
        return
    if not _is_bound(axis):
        if has_explicit_axes():
            raise ValueError(
                f"axes.query = {axis!r} needs a mesh whose axes are all of the kind AxisType.Auto; "
                "on one with explicit axes share out the queries inside jax.shard_map"
            )
    elif _is_checked(axis):
        raise ValueError(
            f"axes.query = {axis!r} inside jax.shard_map needs check_vma=False there: loops of a "
            "loss start from constants that are the same for all, and go on with what is not"
        )


def query_groups(axes: Axes) -> int:
    """How many groups share the queries."""
    if axes.query is None:
        return 1
    return jax.lax.axis_size(axes.query) if _is_bound(axes.query) else _sizes()[axes.query]


def share_queries(evaluate: Callable[[Any], Any], queries: Any, axes: Axes) -> Any:
    """Returns `evaluate(queries)`, of which each group along the query axis does its share.

    Args:
      evaluate: of some queries, a tree whose arrays lead with them; returns such a tree, which is
        small.
      queries: all K of them.
      axes: names the axis, or none.
    """
    if axes.query is None:
        return evaluate(queries)
    return _by_groups(lambda share: _from_all(evaluate(share), axes.query), queries, axes.query)


def sum_over_queries(combine: Callable[[Any], Any], queries: Any, axes: Axes) -> Any:
    """Returns `combine(queries)`, a sum over them, of which each group along the axis does a part.

    Args:
      combine: some queries to the sum over them, a tree of arrays.
      queries: all K of them.
      axes: names the axis.
    """
    return _by_groups(lambda share: jax.lax.psum(combine(share), axes.query), queries, axes.query)


def _by_groups(of_group: Callable[[Any], Any], queries: Any, axis: str) -> Any:
    """What `of_group` makes of the group's own queries; it is the same for all groups."""

    def of_own(queries: Any) -> Any:
        return of_group(_share(queries, axis))

    if _is_bound(axis):
        return of_own(queries)
    # Every group is given all queries, a few words each: cut on the way in, they would be sent
    # around for the update. And loops of a loss start from constants, the same everywhere, and go
    # on with what is not; check_vma would ask the user to say so.
    return jax.shard_map(
        of_own,
        in_specs=PartitionSpec(),
        out_specs=PartitionSpec(),
        axis_names={axis},
        check_vma=False,
    )(queries)


def gathered(array: jax.Array, axes: AxisName) -> jax.Array:
    """The array whole along mesh axes; how it lies along others is left to the compiler."""
    names = _cutting(axes)
    if not names:
        return array
    whole = PartitionSpec(*[None] * array.ndim)
    return jax.sharding.explicit_axes(lambda x: x, axes=names, in_sharding=whole)(array)


def part_count(axes: AxisName) -> int:
    """In how many parts weights are stored that `gathered` puts together."""
    sizes = _sizes()
    return math.prod(sizes[axis] for axis in _cutting(axes))


def _cutting(axes: AxisName) -> tuple[str, ...]:
    return tuple(axis for axis in _names(axes) if not _is_bound(axis))


def agreed(values: jax.Array, axis_name: AxisName | None) -> jax.Array:
    """The values of the first device, for all.

    Losses that are averaged over devices are the same on all of them, as far as the library that
    adds them up takes care of it. Replicas of weights must not depend on that.

    Args:
      values: a few numbers.
      axis_name: axes along which this is the program of one device. Those of the mesh of
        `jax.set_mesh` are looked after besides.
    """
    bound = tuple(axis for axis in _names(axis_name) if _is_bound(axis))
    if bound:
        values = _of_first(values, bound)
    if free := _free_axes():
        everywhere = PartitionSpec()
        values = jax.shard_map(
            lambda x: _of_first(x, free),
            in_specs=everywhere,
            out_specs=everywhere,
            axis_names=set(free),
        )(values)
    return values


def _of_first(values: jax.Array, axes: tuple[str, ...]) -> jax.Array:
    is_first = sum(jax.lax.axis_index(axis) for axis in axes) == 0
    return jax.lax.psum(jnp.where(is_first, values, 0), axes)


def has_explicit_axes() -> bool:
    """Whether types say how arrays lie on the mesh in use (`jax.sharding.AxisType.Explicit`)."""
    return bool(jax.sharding.get_abstract_mesh().explicit_axes)


def spans_devices() -> bool:
    """Whether this is the program of several devices, on which arrays may lie in parts."""
    return bool(_free_axes())


def device_count() -> int:
    """Of how many devices this is the program."""
    shape = jax.sharding.get_abstract_mesh().shape
    return math.prod(shape[axis] for axis in _free_axes())


def knows_others() -> bool:
    """Whether this is the program of several devices, or of one that may send to others."""
    return spans_devices() or bool(jax.sharding.get_abstract_mesh().manual_axes)


def own_entry(array: jax.Array) -> jax.Array:
    """A number of the array, shape (): on each device the first that lies there.

    If it `may_be_cut` this is for a CPU: TPUs have no `custom_partitioning` (JAX's issue 38196).
    """
    if has_explicit_axes():
        # There it has to be said that the program, not the types, says where things lie.
        return jax.sharding.auto_axes(own_entry, out_sharding=PartitionSpec())(array)
    return _of_each_device(array.ndim)(array) if may_be_cut(array) else _first(array)


def may_be_cut(array: jax.Array) -> bool:
    """Whether it may lie in parts on several devices, too large to be sent for a number of it."""
    return spans_devices() and array.size > _thresholds.SENT_ENTRIES


def _first(array: jax.Array) -> jax.Array:
    return jax.lax.slice(array, (0,) * array.ndim, (1,) * array.ndim).reshape(())


@functools.cache
def _of_each_device(ndim: int) -> Callable[[jax.Array], jax.Array]:
    """`_first` of the part that each device has, which passes for one number."""
    own = custom_partitioning(_first)

    def partition(mesh: Mesh, operands: Any, result: Any) -> tuple[Any, ...]:
        del result
        return mesh, _first, NamedSharding(mesh, PartitionSpec()), (operands[0].sharding,)

    own.def_partition(partition, sharding_rule=" ".join("abcdefghijklmnop"[:ndim]) + " ->")
    return own


def replicated(array: jax.Array) -> jax.Array:
    """The array as a whole on every device: for what is small, and drawn faster than sent."""
    if jax.sharding.get_abstract_mesh().auto_axes:
        return jax.lax.with_sharding_constraint(array, PartitionSpec())
    return array


def uncut_along(array: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Gathered rows in a form that XLA can partition.

    Against a fault of XLA: inside a `jax.shard_map` over some axes of a mesh, it aborts the process
    where rows come from a table that is cut between them, and are wanted cut along their features
    (spmd_partitioner_util.cc:498; jax 0.11.2 and 0.12.0.1, in plain JAX too; not 0.10.2). So the
    rows are asked for whole, and cut then. Rows of a table that is cut along its features are put
    together for it. To be retired when `tests/mesh/mesh_rows.py` runs without it on all versions.

    Args:
      array: the gathered rows.
      axes: those of a row.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if jax.__version_info__ < (0, 11) or not (mesh.manual_axes and mesh.auto_axes):
        return array
    free = PartitionSpec.UNCONSTRAINED
    spec = PartitionSpec(*(None if axis in axes else free for axis in range(array.ndim)))
    return jax.lax.with_sharding_constraint(array, spec)


def seen_inside(tree: Any) -> Any:
    """Arrays from outside a `jax.shard_map` over some axes, as what is made inside of it is typed.

    Most operations take both. `jnp.where` with an array of each kind is refused (jax 0.10.2); to be
    retired when `jnp.where(outside, inside, 0.0)` is not.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return tree

    def typed(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        return jax.lax.slice(leaf, (0,) * leaf.ndim, leaf.shape)

    return jax.tree.map(typed, tree)


def _from_all(tree: Any, axis: str) -> Any:
    """The entries of all groups in order, in a form that is known to be the same for all."""
    group, groups = jax.lax.axis_index(axis), jax.lax.axis_size(axis)

    def join(x: jax.Array) -> jax.Array:
        placed = jnp.zeros((groups, *x.shape), x.dtype).at[group].set(x)
        return jax.lax.psum(placed, axis).astype(x.dtype).reshape(-1, *x.shape[1:])

    return jax.tree.map(join, tree)


def _share(queries: Any, axis: str) -> Any:
    """The entries of this group."""
    group, groups = jax.lax.axis_index(axis), jax.lax.axis_size(axis)

    def cut(x: jax.Array) -> jax.Array:
        length = x.shape[0] // groups
        return jax.lax.dynamic_slice_in_dim(x, group * length, length)

    return jax.tree.map(cut, queries)


def _free_axes() -> tuple[str, ...]:
    """The axes of the mesh in use along which this is the program of several devices."""
    mesh = jax.sharding.get_abstract_mesh()
    return tuple(
        axis for axis, size in mesh.shape.items() if size > 1 and axis not in mesh.manual_axes
    )


def _sizes() -> dict[str, int]:
    """The axes of the mesh in use."""
    return dict(jax.sharding.get_abstract_mesh().shape)


def _is_bound(axis: str) -> bool:
    """Whether the program is written from the view of one device along the axis."""
    try:
        jax.lax.axis_size(axis)
    except NameError:
        return False
    return True


def _is_checked(axis: str) -> bool:
    """Whether types say what varies along an axis (check_vma of `jax.shard_map`)."""
    kind = jax.typeof(jax.lax.axis_index(axis))
    # Where it is said differs between versions of jax.
    return bool(kind.manual_axis_type.varying if hasattr(kind, "manual_axis_type") else kind.vma)


def _names(axes: AxisName | None) -> tuple[str, ...]:
    return (axes,) if isinstance(axes, str) else tuple(axes or ())
