"""The table of methods that the contract is tested on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax

import zojax
from zojax import methods


class Row(NamedTuple):
    """A method under test.

    Attributes:
      make: (learning_rate, key, **options) -> the transformation.
      options: keyword arguments of `make`.
      evaluations: losses a step.
      improvement: by what the quadratic shrinks in 150 steps, at least.
      learning_rate: for that.
      static: options that fix shapes.
      accumulates: whether a step may be made of several calls.
      spared: losses that the first step does without.
      replays: whether a step can be made again from its losses.
    """

    make: Callable[..., optax.GradientTransformationExtraArgs]
    options: dict[str, Any]
    evaluations: int
    improvement: float = 20.0
    learning_rate: float = 0.02
    static: tuple[str, ...] = ("num_queries",)
    accumulates: bool = True
    spared: int = 0
    replays: bool = True

    def spent(self, steps: int) -> int:
        """Losses of the first steps."""
        return steps * self.evaluations - self.spared


KEPT = zojax.factored(1, left="haar", core="gaussian", right_period=3)
CHUNKED = ("num_queries", "chunk_size", "accumulate")
# Differences divide the rounding of a loss by their radius. At a wide one, where quadratics
# have exact ones, programs that round differently can be compared.
WIDE = {"radius": 0.25}
SEVERAL = {"num_queries": 4, **WIDE}


def zo_muon(learning_rate, key, num_queries, radius, rank, period, weight_decay, accumulate=1):
    """With one rate for all leaves: the contract asks that the whole update is proportional."""
    return methods.zo_muon(
        learning_rate,
        key,
        learning_rate_1d=learning_rate,
        num_queries=num_queries,
        radius=radius,
        rank=rank,
        period=period,
        weight_decay=weight_decay,
        accumulate=accumulate,
    )


def last_axis(path, leaf):
    """Reads any params whose last axes are equally long as an adapter."""
    return leaf.ndim - 1


def by_leaf_and_row(params):
    """Three blocks: vectors, and each row of a matrix."""
    return {name: zojax.Slices(name) if name == "w" else name for name in params}


def zo_mopi(
    learning_rate,
    key,
    num_queries,
    radius,
    rank,
    period,
    components,
    momentum,
    weight_decay,
    accumulate=1,
):
    """As zo_muon above."""
    return methods.zo_mopi(
        learning_rate,
        key,
        learning_rate_1d=learning_rate,
        num_queries=num_queries,
        radius=radius,
        rank=rank,
        period=period,
        components=components,
        momentum=momentum,
        weight_decay=weight_decay,
        accumulate=accumulate,
    )


# What each method promises with options that use all of its state.
METHODS = {
    "agzo": Row(
        methods.agzo,
        {"num_queries": 2, "rank": 2, "weight_decay": 1e-3, **WIDE},
        3,
        learning_rate=0.02,
        static=(*CHUNKED, "rank", "iterations", "views", "bits"),
        accumulates=False,
        replays=False,
    ),
    "ar1_zo": Row(
        methods.ar1_zo,
        {
            "inner": optax.chain(optax.trace(0.5), optax.add_decayed_weights(1e-3)),
            "atoms": last_axis,
            **WIDE,
        },
        2,
        learning_rate=0.03,
        static=("atoms", "accumulate"),
    ),
    "conmezo": Row(
        methods.conmezo,
        {"num_queries": 2, "momentum": 0.5, "weight_decay": 1e-3, **WIDE},
        4,
        static=CHUNKED,
    ),
    "dizo": Row(
        methods.dizo,
        {
            **{"interval": 2, "projection_steps": 1, "projection_rate": 0.01},
            **{"projected": lambda path, leaf: leaf.ndim > 1, "weight_decay": 1e-3, **WIDE},
        },
        2,
        5.0,
        static=("interval", "projection_steps", "projected", "chunk_size", "accumulate"),
    ),
    "eggroll": Row(
        methods.eggroll,
        {**SEVERAL, "rule": optax.trace(0.5), "weight_decay": 1e-3},
        8,
        learning_rate=0.06,
        static=(*CHUNKED, "fitness", "antithetic", "num_groups"),
    ),
    "fzoo": Row(
        methods.fzoo,
        {**SEVERAL, "reuse": True, "weight_decay": 1e-3},
        5,
        learning_rate=0.05,
        static=(*CHUNKED, "ddof", "reuse"),
    ),
    "grzo": Row(
        methods.grzo,
        {**SEVERAL, "divided": (), "weight_decay": 1e-3},
        8,
        learning_rate=0.02,
        static=(*CHUNKED, "divided"),
    ),
    "hizoo": Row(
        methods.hizoo,
        {"num_queries": 2, "curvature_rate": 0.01, "weight_decay": 1e-3, **WIDE},
        5,
        learning_rate=0.05,
        static=(*CHUNKED, "bits", "factored"),
    ),
    "kerzoo": Row(
        methods.kerzoo,
        {**SEVERAL, "order": 4, "weight_decay": 1e-3},
        8,
        static=(*CHUNKED, "order"),
    ),
    "loren": Row(
        methods.loren,
        {"num_queries": 4, "rho": 1.0, "temperature": 4.0, "weight_decay": 1e-3, **WIDE},
        4,
        learning_rate=0.01,
        static=(*CHUNKED, "views", "bits"),
    ),
    "lozo": Row(
        methods.lozo,
        {"num_queries": 2, "rank": 1, "period": 3, "momentum": 0.5, "weight_decay": 1e-3, **WIDE},
        4,
        static=(*CHUNKED, "rank", "period", "views", "bits"),
    ),
    "meazo": Row(
        methods.meazo,
        {"num_queries": 2, "eps": 1e-3, "weight_decay": 1e-3, **WIDE},
        4,
        learning_rate=0.05,
        static=CHUNKED,
    ),
    "mezo": Row(
        methods.mezo,
        {"num_queries": 2, "sampler": KEPT, "weight_decay": 1e-3, **WIDE},
        4,
        static=CHUNKED,
    ),
    "mezo_adam": Row(
        methods.mezo_adam,
        {**SEVERAL, "history": 150, "eps": 1e-3},
        8,
        learning_rate=0.1,
        static=(*CHUNKED, "history"),
    ),
    "mezo_bcd": Row(
        methods.mezo_bcd,
        {"num_queries": 2, "labels": by_leaf_and_row, "hold": 2, "weight_decay": 1e-3, **WIDE},
        4,
        learning_rate=0.06,
        static=(*CHUNKED, "labels", "hold"),
    ),
    "mezo_gv": Row(
        methods.mezo_gv,
        {"candidates": 3, "remember": True, "weight_decay": 1e-3, **WIDE},
        5,
        static=("candidates", "elite", "remember", "chunk_size", "accumulate"),
        accumulates=False,
    ),
    "mezo_svrg": Row(
        methods.mezo_svrg,
        {"num_queries": 2, "interval": 2, "anchor_scale": 1.5, "weight_decay": 1e-3, **WIDE},
        8,
        static=(*CHUNKED, "interval", "anchor_batches"),
        spared=4,
    ),
    "p_gap": Row(
        methods.p_gap,
        {
            **{"rank": 2, "period": 1, "probes": 2, "delta": 2.0, "scale": None},
            **{"weight_decay": 1e-3, **WIDE},
        },
        6,
        learning_rate=0.015,
        static=("rank", "period", "probes", "scale", "views", "bits", "chunk_size", "accumulate"),
        accumulates=False,
    ),
    "r_adazo": Row(
        methods.r_adazo, {**SEVERAL, "radius": 0.5, "warmup_steps": 2}, 5, 20.0, 0.02, CHUNKED
    ),
    "sparse_mezo": Row(
        methods.sparse_mezo,
        {"num_queries": 2, "sparsity": 0.25, "weight_decay": 1e-3, **WIDE},
        4,
        1.2,  # weights that grow come to rest
        static=(*CHUNKED, "views"),
    ),
    "spsa": Row(
        methods.spsa,
        {"num_queries": 2, "stability": 5.0, "weight_decay": 1e-3, **WIDE},
        4,
        learning_rate=0.07,
        static=CHUNKED,
    ),
    "subzero": Row(
        methods.subzero,
        {"num_queries": 2, "rank": 1, "period": 3, "weight_decay": 1e-3, **WIDE},
        4,
        static=(*CHUNKED, "rank", "period", "views", "bits"),
    ),
    "tezo": Row(
        methods.tezo,
        {"num_queries": 2, "rank": 2, "eps": 1e-3, "weight_decay": 1e-3, **WIDE},
        4,
        1.0,  # two of the six dimensions of the matrix can be reached, by a rule that leaves them
        0.01,
        static=(*CHUNKED, "rank", "variant", "views", "bits"),
    ),
    "unbiased_zo": Row(
        methods.unbiased_zo,
        {"num_queries": 2, "levels": 2, "radius": 0.5, "weight_decay": 1e-3},
        7,
        static=(*CHUNKED, "points", "levels"),
    ),
    "zo_adamm": Row(methods.zo_adamm, {**SEVERAL, "box": (-3.0, 1.5)}, 5, 20.0, 0.1, CHUNKED),
    "zo_adamu": Row(
        methods.zo_adamu,
        {
            **{"alpha": 0.9, "b1": 0.8, "b2": 0.5, "warmup_steps": 1, "anneal_steps": 100},
            **{"weight_decay": 1e-3, **WIDE},
        },
        2,
        5.0,
        learning_rate=0.01,
        static=("warmup_steps", "anneal_steps", "bits", "chunk_size", "accumulate"),
    ),
    "zo_hgd": Row(
        methods.zo_hgd,
        {
            **{"num_queries": 3, "num_coordinates": 2, "coordinate_radius": 0.25},
            **{"weight_decay": 1e-3, **WIDE},
        },
        8,
        static=(*CHUNKED, "num_coordinates"),
        accumulates=False,
    ),
    "zo_mopi": Row(
        zo_mopi,
        {
            **SEVERAL,
            "rank": 2,
            "period": 3,
            "components": 1,
            "momentum": 0.5,
            "weight_decay": 1e-3,
        },
        5,
        learning_rate=0.1,
        static=("num_queries", "rank", "period", "components", "accumulate"),
    ),
    "zo_muon": Row(
        zo_muon,
        {**SEVERAL, "rank": 2, "period": 3, "weight_decay": 1e-3},
        5,
        learning_rate=0.1,
        static=("num_queries", "rank", "period", "accumulate"),
    ),
    "zo_rmsprop": Row(methods.zo_rmsprop, SEVERAL, 5, 20.0, 0.05, CHUNKED),
    "zo_sgd": Row(methods.zo_sgd, SEVERAL, 5, static=CHUNKED),
    "zo_sign_sgd": Row(methods.zo_sign_sgd, SEVERAL, 5, 20.0, 0.05, CHUNKED),
    "zoar": Row(
        methods.zoar,
        {"num_queries": 4, "history": 2, "radius": 0.25},
        4,
        learning_rate=0.02,
        static=(*CHUNKED, "history", "ddof"),
    ),
}
ROWS = {
    **METHODS,
    "zo_adamm plain": Row(
        methods.zo_adamm, {"amsgrad": False, "eps": 1e-8, "chunk_size": 4}, 11, 20.0, 0.1, CHUNKED
    ),
    "ar1_zo one layer": Row(
        methods.ar1_zo, {"layers": "one", "schedule": "random", "atoms": last_axis}, 2, 10.0, 0.05
    ),
    "hizoo of means": Row(
        methods.hizoo,
        {"factored": True, "curvature_rate": 0.01, **WIDE},
        3,
        learning_rate=0.05,
        static=(*CHUNKED, "bits", "factored"),
    ),
    "mezo gaussian": Row(methods.mezo, {}, 2),
    "mezo rademacher": Row(methods.mezo, {"sampler": zojax.rademacher()}, 2),
    "mezo sphere": Row(methods.mezo, {"sampler": zojax.sphere()}, 2),
    "mezo coordinate": Row(methods.mezo, {"sampler": zojax.coordinate()}, 2),
    "mezo factored": Row(methods.mezo, {"sampler": zojax.factored(1)}, 2),
    "zoar pairs": Row(
        methods.zoar, {"num_queries": 2, "history": 2, "antithetic": True, "chunk_size": 2}, 4
    ),
}
