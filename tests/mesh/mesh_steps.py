"""Run by test_meshes.py in a process with 8 devices: methods on meshes, beside one device.

The first argument names the meshes, with semicolons between them, the others are methods. Prints a
line of JSON for each method and mesh.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import zojax
from experiments.benchmarks._collectives import collectives

MESHES = {
    "data=8": {"data": 8},
    "query=8": {"query": 8},
    "model=8": {"model": 8},
    "2x2x2": {"data": 2, "query": 2, "model": 2},
}
STEPS = 3
EIGHT = {"num_queries": 8, "radius": 0.1}
BASES = zojax.factored(2, left="haar", core="gaussian", right="haar", left_period=2, right_period=2)

# name -> method, learning rate, options
METHODS: dict[str, tuple[Callable[..., Any], float, dict[str, Any]]] = {
    "agzo": (zojax.agzo, 0.02, {**EIGHT, "rank": 2}),
    "meazo": (zojax.meazo, 0.005, EIGHT),
    "mezo": (zojax.mezo, 0.02, EIGHT),
    "mezo, packed signs": (zojax.mezo, 0.02, {**EIGHT, "sampler": zojax.rademacher()}),
    "mezo, sphere": (zojax.mezo, 0.02, {**EIGHT, "sampler": zojax.sphere()}),
    "mezo, coordinate": (zojax.mezo, 0.001, {**EIGHT, "sampler": zojax.coordinate()}),
    "mezo, factored": (zojax.mezo, 0.02, {**EIGHT, "sampler": zojax.factored(2)}),
    "mezo, bases": (zojax.mezo, 0.02, {**EIGHT, "sampler": BASES}),
    "mezo_adam": (zojax.mezo_adam, 0.01, EIGHT),
    "mezo_adam, replayed": (zojax.mezo_adam, 0.01, {**EIGHT, "history": 2, "eps": 1e-3}),
    "mezo_bcd": (zojax.mezo_bcd, 0.02, EIGHT),
    "zo_mopi": (partial(zojax.zo_mopi, learning_rate_1d=0.01), 0.02, {**EIGHT, "rank": 2}),
    "zo_muon": (partial(zojax.zo_muon, learning_rate_1d=0.01), 0.02, {**EIGHT, "rank": 2}),
    "loren": (zojax.loren, 0.005, EIGHT),
    "r_adazo": (zojax.r_adazo, 0.01, EIGHT),
    "eggroll": (zojax.eggroll, 0.1, {**EIGHT, "fitness": "centered"}),
    "fzoo": (zojax.fzoo, 0.01, EIGHT),
    "grzo": (zojax.grzo, 2e-3, {**EIGHT, "divided": ("tokens",)}),
    "hizoo": (zojax.hizoo, 0.02, {**EIGHT, "curvature_rate": 0.1}),
    "lozo": (zojax.lozo, 0.02, {**EIGHT, "rank": 2, "period": 2, "momentum": 0.5}),
    "spsa": (zojax.spsa, 0.03, EIGHT),
    "subzero": (zojax.subzero, 0.02, {**EIGHT, "rank": 2, "period": 2}),
    "tezo": (zojax.tezo, 0.01, {**EIGHT, "rank": 2, "eps": 1e-3}),
    "zoar": (zojax.zoar, 0.01, {**EIGHT, "history": 2}),
    "conmezo": (zojax.conmezo, 0.01, EIGHT),
    "kerzoo": (zojax.kerzoo, 0.02, EIGHT),
    "mezo_gv": (zojax.mezo_gv, 0.02, {"candidates": 3, "radius": 0.1}),
    "mezo_svrg": (zojax.mezo_svrg, 0.01, {**EIGHT, "interval": 3}),
    "sparse_mezo": (zojax.sparse_mezo, 0.05, EIGHT),
    # Each level has four times as much of the rounding of losses, which differs from mesh to mesh.
    "unbiased_zo": (zojax.unbiased_zo, 0.02, {**EIGHT, "levels": 2}),
    "zo_adamu": (zojax.zo_adamu, 0.01, {"radius": 0.1, "warmup_steps": 1, "anneal_steps": 2}),
    "dizo": (
        zojax.dizo,
        0.03,
        {
            **{"radius": 0.1, "interval": 2, "projection_steps": 1, "projection_rate": 0.5},
            "projected": lambda path, leaf: leaf.ndim == 2,
        },
    ),
    # At a small radius a slope along one coordinate is mostly rounding of the losses.
    "zo_hgd": (
        zojax.zo_hgd,
        0.02,
        {"num_queries": 4, "num_coordinates": 2, "radius": 0.1, "coordinate_radius": 1.0},
    ),
    "p_gap": (
        zojax.p_gap,
        0.02,
        {"radius": 0.1, "rank": 2, "period": 2, "probes": 2, "scale": None},
    ),
    "zo_sgd": (zojax.zo_sgd, 0.02, EIGHT),
    "zo_sign_sgd": (zojax.zo_sign_sgd, 0.005, EIGHT),
    "zo_adamm": (zojax.zo_adamm, 0.01, EIGHT),
    "zo_rmsprop": (zojax.zo_rmsprop, 0.002, EIGHT),
    "ar1_zo": (zojax.ar1_zo, 0.03, {"radius": 0.1}),
}
# Tensor parallelism: each weight is cut along an axis that the plain forward never puts together.
SPECS = {
    "embed": P("model"),
    "up": P(None, "model"),
    "up_bias": P("model"),
    "down": P("model"),
    "stack": P(None, None, "model"),
    "lora_a": P(),
    "lora_b": P(None, "model"),
}


def _params(method: str) -> dict[str, jax.Array]:
    shapes = {
        "embed": (64, 32),
        "up": (32, 64),
        "up_bias": (64,),
        "down": (64, 32),
        "stack": (2, 32, 32),
    }
    if method == "ar1_zo":  # of an adapter alone
        shapes = {"lora_a": (32, 4), "lora_b": (4, 64)}
    keys = jax.random.split(jax.random.key(1), len(shapes))
    return {
        name: 0.3 * jax.random.normal(key, shape)
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def _loss(params: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
    full = {**_params("mezo"), **params}
    up = full["up"]
    if "lora_a" in full:
        up = up + 2.0 * full["lora_a"] @ full["lora_b"]
    x = full["embed"][tokens].mean(1)
    x = x + jnp.tanh(x @ up + full["up_bias"]) @ full["down"]
    x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), ()), x, full["stack"])
    return jnp.mean((x - 0.5) ** 2)


def _step(tx: optax.GradientTransformationExtraArgs) -> Callable[..., tuple[Any, Any]]:
    def step(params: Any, state: Any, tokens: jax.Array) -> tuple[Any, Any]:
        updates, state = tx.update(None, state, params, value_fn=_loss, tokens=tokens)
        return optax.apply_updates(params, updates), state

    return step


def _rows(name: str, meshes: list[str]) -> Iterator[dict[str, Any]]:
    method, learning_rate, options = METHODS[name]
    start, tokens = _params(name), jax.random.randint(jax.random.key(2), (8, 4), 0, 64)

    def trained(params: Any, tokens: jax.Array, axes: zojax.Axes) -> tuple[Any, Any]:
        tx = method(learning_rate, jax.random.key(0), axes=axes, **options)
        state = jax.jit(tx.init)(params)
        step = jax.jit(_step(tx), donate_argnums=(0, 1)).lower(params, state, tokens).compile()
        params = jax.tree.map(jnp.copy, params)
        # A compiled step takes its state as it lay at first; what it returns may lie otherwise.
        layouts = jax.tree.map(lambda leaf: leaf.sharding, (params, state))
        for _ in range(STEPS):
            params, state = step(params, state, tokens)
            params, state = jax.device_put((params, state), layouts)
        return params, step

    alone, _ = trained(start, tokens, zojax.Axes())
    moved = _norm(jax.tree.map(jnp.subtract, alone, start))
    for label in meshes:
        sizes = MESHES[label]
        mesh = jax.make_mesh(
            tuple(sizes.values()), tuple(sizes), axis_types=len(sizes) * (AxisType.Auto,)
        )
        with jax.set_mesh(mesh):
            params = {leaf: _put(value, SPECS[leaf], mesh) for leaf, value in start.items()}
            batch = _put(tokens, P("data"), mesh)
            shared = "query" in sizes and "num_queries" in options
            found, step = trained(params, batch, zojax.Axes(query="query" if shared else None))
        apart = _norm(jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), alone, found))
        yield {
            "method": name,
            "mesh": label,
            "apart": float(apart / moved),
            "moved": float(moved),
            "collectives": collectives(step),
        }


def _put(array: jax.Array, spec: P, mesh: jax.sharding.Mesh) -> jax.Array:
    """On the mesh, cut along those axes of the spec that it has."""
    there = [axis if axis in mesh.axis_names else None for axis in spec]
    return jax.device_put(array, NamedSharding(mesh, P(*there)))


def _norm(tree: Any) -> jax.Array:
    return optax.tree.norm(jax.tree.map(np.asarray, tree))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        for row in _rows(name, sys.argv[1].split(";")):
            print(json.dumps(row), flush=True)
