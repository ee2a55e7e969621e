"""Run by test_meshes.py in a process with 8 devices: the ways to write a step for several devices.

Prints a line of JSON for each: how far it ends from one device, over how far that went.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import zojax

SAMPLERS = {"gaussian": zojax.gaussian(), "factored": zojax.factored(2)}
# Where weights are cut, or devices have directions of their own; elsewhere factors are no matter.
OF_FACTORS = ("jit, weights stored in parts", "explicit", "shard_map, queries")
QUERY = zojax.Axes(query="query")
# Wide enough for the last matrix to be perturbed in blocks.
SHAPES = {"embed": (64, 16), "up": (16, 32), "bias": (32,), "wide": (32, 4096)}
KEYS = jax.random.split(jax.random.key(1), len(SHAPES))
PARAMS = {
    name: 0.1 * jax.random.normal(key, shape)
    for key, (name, shape) in zip(KEYS, SHAPES.items(), strict=True)
}
TOKENS = jax.random.randint(jax.random.key(2), (16, 4), 0, 64)


def loss(params: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
    x = params["embed"][tokens].mean(1)
    return jnp.mean((jnp.tanh(x @ params["up"] + params["bias"]) @ params["wide"] - 0.5) ** 2)


def explicit_loss(params: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
    """The same where a sum over a cut axis has to say what it gives."""
    x = params["embed"].at[tokens].get(out_sharding=P("data")).mean(1)
    x = jnp.tanh(jnp.einsum("bi,io->bo", x, params["up"]) + params["bias"])
    x = jnp.einsum("bi,io->bo", x, params["wide"], out_sharding=P("data"))
    return jnp.mean((x - 0.5) ** 2)


def step_of(value_fn: Callable, sampler: zojax.Sampler, **options: Any) -> tuple[Any, Callable]:
    estimate = zojax.estimate_gradient(
        jax.random.key(0), sampler, zojax.central(0.1, num_queries=4), **options
    )
    tx = optax.chain(estimate, optax.scale(-0.01))

    def step(params: Any, state: Any, tokens: jax.Array) -> tuple[Any, Any]:
        updates, state = tx.update(None, state, params, value_fn=value_fn, tokens=tokens)
        return optax.apply_updates(params, updates), state

    return tx, step


def mesh_of(*names: str, kind: AxisType = AxisType.Auto) -> jax.sharding.Mesh:
    shape = (8,) if len(names) == 1 else (2, 4)
    return jax.make_mesh(shape, names, axis_types=len(names) * (kind,))


def by_jit(sampler: zojax.Sampler, names: tuple[str, ...], specs: dict[str, P], **options: Any):
    """The program of all devices; the compiler cuts it up."""
    tx, step = step_of(loss, sampler, **options)
    with jax.set_mesh(mesh_of(*names)):
        params = {name: jax.device_put(x, specs.get(name, P())) for name, x in PARAMS.items()}
        tokens = jax.device_put(TOKENS, P("data"))
        return jax.jit(step)(params, tx.init(params), tokens)[0]


def by_explicit_types(sampler: zojax.Sampler):
    """The program of all devices, whose types say how arrays lie."""
    tx, step = step_of(explicit_loss, sampler)
    specs = {"up": P(None, "model"), "bias": P("model"), "wide": P("model")}
    with jax.set_mesh(mesh_of("data", "model", kind=AxisType.Explicit)):
        params = {name: jax.device_put(x, specs.get(name, P())) for name, x in PARAMS.items()}
        tokens = jax.device_put(TOKENS, P("data"))
        return jax.jit(step)(params, tx.init(params), tokens)[0]


def by_shard_map(sampler: zojax.Sampler, names: tuple[str, ...], *, check: bool, **options: Any):
    """The program of one device."""
    tx, step = step_of(loss, sampler, axis_name="data", **options)
    mapped = jax.shard_map(
        step,
        mesh=mesh_of(*names),
        in_specs=(P(), P(), P("data")),
        out_specs=P(),
        check_vma=check,
    )
    return jax.jit(mapped)(PARAMS, tx.init(PARAMS), TOKENS)[0]


def by_pmap(sampler: zojax.Sampler):
    tx, step = step_of(loss, sampler, axis_name="data")
    mapped = jax.pmap(step, axis_name="data", in_axes=(None, None, 0), out_axes=None)
    return mapped(PARAMS, tx.init(PARAMS), TOKENS.reshape(8, 2, 4))[0]


STYLES = {
    "jit": partial(by_jit, names=("data",), specs={}),
    "jit, queries": partial(by_jit, names=("data", "query"), specs={}, axes=QUERY),
    "jit, queries in shares": partial(
        by_jit, names=("data", "query"), specs={}, axes=QUERY._replace(query_update="share")
    ),
    "jit, weights stored in parts": partial(
        by_jit,
        names=("data",),
        specs={"embed": P(None, "data"), "up": P(None, "data"), "wide": P("data")},
        axes=zojax.Axes(gathered="data"),
    ),
    "explicit": by_explicit_types,
    "shard_map": partial(by_shard_map, names=("data",), check=True),
    "shard_map, queries": partial(by_shard_map, names=("data", "query"), check=False, axes=QUERY),
    "pmap": by_pmap,
}


def main() -> None:
    for law, sampler in SAMPLERS.items():
        tx, step = step_of(loss, sampler)
        alone = jax.jit(step)(PARAMS, tx.init(PARAMS), TOKENS)[0]
        moved = distance(alone, PARAMS)
        for style, run in STYLES.items():
            if law == "factored" and style not in OF_FACTORS:
                continue
            apart = distance(alone, run(sampler)) / moved
            print(json.dumps({"law": law, "style": style, "apart": apart, "moved": moved}))


def distance(a: Any, b: Any) -> float:
    return float(optax.tree.norm(jax.tree.map(lambda x, y: np.asarray(x) - np.asarray(y), a, b)))


if __name__ == "__main__":
    main()
