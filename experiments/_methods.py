"""The methods of `finetune`, each with the numbers that it starts from.

Shape and law of a method (queries, radius, rank, period, momentum) are those of its paper's runs
on language models. A learning rate cannot be: it depends on the model. Those here suit the shipped
one, searched over half decades; a larger model wants a smaller one (MeZO on OPT-13B: 1e-7 to 1e-6).
"""

import jax
import optax

import zojax
from experiments import _combinations, _first_order
from experiments._recipe import (
    LAWS,
    LOW_RANK,
    NO_AXES,
    SAMPLERS,
    MethodSettings,
    Recipe,
    common,
    made,
)
from zojax import Axes

_COORDINATES = 5  # of ZO-HGD
_DENSE = ("gaussian", "rademacher")
_FACTORED = ("factored", *(law for law in LAWS if law != "factored"))
_SIGNS = ("rademacher", *(law for law in LAWS if law != "rademacher"))
_SPHERE = ("sphere", *(law for law in LAWS if law != "sphere"))


def _pairs(num_queries: int) -> int:
    return 2 * num_queries


def _one_pair(num_queries: int) -> int:
    """A pair for each direction, of its share of the batch."""
    del num_queries
    return 2


def _one_pair_and_base(num_queries: int) -> int:
    """The same, and a loss at params for the inputs of layers."""
    del num_queries
    return 3


def _one_sided(num_queries: int) -> int:
    return num_queries + 1


def _and_a_pair(num_queries: int) -> int:
    """Candidates, and a pair along what is made of them."""
    return num_queries + 2


def _around_base(num_queries: int) -> int:
    """Pairs where there is one direction only."""
    return 2 if num_queries == 1 else num_queries + 1


def _pairs_and_base(num_queries: int) -> int:
    return 2 * num_queries + 1


def _pairs_at_two_points(num_queries: int) -> int:
    """On average: pairs at one point in a step, and at two in the next."""
    return 3 * num_queries


def _three_and_base(num_queries: int) -> int:
    return 3 * num_queries + 1


def _and_coordinates(num_queries: int) -> int:
    return num_queries + 1 + 2 * _COORDINATES


def _no_base(num_queries: int) -> int:
    return num_queries


def _ar1_zo(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = NO_AXES
) -> optax.GradientTransformationExtraArgs:
    del chunk_size  # one direction
    sampler = SAMPLERS[settings.sampler](settings)
    return zojax.ar1_zo(settings.rate, key, sampler=sampler, **common(settings, axes))


def _keys_and_values_or_all(path: tuple, leaf: jax.Array) -> bool:
    """All leaves of an adapter or a prefix, which have no such names."""
    names = {jax.tree_util.keystr((entry,), simple=True) for entry in path}
    is_added = any("lora" in name or "prefix" in name for name in names)
    return is_added or zojax.samplers.keys_and_values(path, leaf)


def _adamw(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = NO_AXES
) -> optax.GradientTransformationExtraArgs:
    del key, chunk_size, axes
    return _first_order.adamw(settings.rate, settings.weight_decay, settings.weight_decay_mask)


METHODS: dict[str, Recipe] = {
    "mezo": Recipe(made(zojax.mezo), _pairs, 1e-4, 1e-2, prefix_learning_rate=1.0, is_descent=True),
    "mezo_adam": Recipe(made(zojax.mezo_adam), _pairs, 1e-3, 1e-2, prefix_learning_rate=3e-2),
    "mezo_bcd": Recipe(made(zojax.mezo_bcd), _pairs, 1e-3, 3e-2, samplers=_DENSE),
    "zo_muon": Recipe(
        made(zojax.zo_muon, told=(*LOW_RANK, "learning_rate_1d")),
        _around_base,
        1e-2,
        1e-2,
        num_queries=4,
        samplers=("factored",),
        sampler_rank=64,
    ),
    "zo_mopi": Recipe(
        made(zojax.zo_mopi, told=(*LOW_RANK, "learning_rate_1d")),
        _around_base,
        1e-2,
        1e-2,
        num_queries=4,
        samplers=("factored",),
        sampler_rank=64,
    ),
    "loren": Recipe(
        made(zojax.loren, told=("num_queries",)),
        _no_base,
        1e-4,
        3e-3,
        num_queries=6,
        samplers=("gaussian",),
    ),
    "eggroll": Recipe(made(zojax.eggroll), _pairs, 1e-2, 1e-1, num_queries=8, samplers=_FACTORED),
    # Its learning rate is a length, that of a step over the root of the weights.
    "fzoo": Recipe(made(zojax.fzoo), _one_sided, 1e-2, 1e-1, num_queries=8, samplers=_SIGNS),
    # Its learning rate is twice the radius times a length; a direction for each example.
    "grzo": Recipe(
        made(zojax.grzo, told=("num_queries",)),
        _one_pair,
        3e-6,
        1e-4,
        num_queries=8,
        samplers=("gaussian",),
    ),
    # A combination of the one before and the next one.
    "grzo_agzo": Recipe(
        made(_combinations.grzo_agzo, told=("num_queries",)),
        _one_pair_and_base,
        1e-5,
        1e-4,
        num_queries=8,
        samplers=("factored",),
        sampler_rank=_combinations.RANK,
        reads_inputs=True,
    ),
    "agzo": Recipe(
        made(zojax.agzo, told=LOW_RANK),
        _one_sided,
        1e-3,
        3e-2,
        samplers=("factored",),
        sampler_rank=_combinations.RANK,
        reads_inputs=True,
    ),
    "hizoo": Recipe(
        made(zojax.hizoo, told=("num_queries",)),
        _pairs_and_base,
        3e-4,
        3e-2,
        samplers=("gaussian",),
    ),
    "lozo": Recipe(
        made(zojax.lozo, told=LOW_RANK),
        _pairs,
        3e-4,
        3e-2,
        samplers=("factored",),
        sampler_rank=2,
    ),
    "meazo": Recipe(made(zojax.meazo), _pairs, 1e-3, 1e-2),
    "spsa": Recipe(made(zojax.spsa), _pairs, 6e-4, 6e-2, samplers=_SIGNS),
    "subzero": Recipe(
        made(zojax.subzero, told=LOW_RANK),
        _pairs,
        3e-4,
        3e-2,
        samplers=("factored",),
        sampler_rank=8,
    ),
    "tezo": Recipe(
        made(zojax.tezo, told=LOW_RANK),
        _pairs,
        1e-3,
        1e-2,
        samplers=("factored",),
        sampler_rank=32,
    ),
    "r_adazo": Recipe(made(zojax.r_adazo), _one_sided, 3e-4, 3e-3, num_queries=10),
    # As on language models: the last 16 pairs, and plain momentum for the first 30 steps.
    "zoar": Recipe(
        made(
            zojax.zoar,
            antithetic=True,
            history=15,
            rule=zojax.scale_by_r_adazo(warmup_steps=30),
        ),
        _pairs,
        3e-4,
        3e-3,
    ),
    "ar1_zo": Recipe(
        _ar1_zo,
        _pairs,
        5e-2,
        5e-2,
        radius=1e-2,
        samplers=_DENSE,
        needs_lora=True,
        one_direction=True,
    ),
    "conmezo": Recipe(made(zojax.conmezo), _pairs, 1e-4, 1e-2, samplers=_DENSE),
    "kerzoo": Recipe(made(zojax.kerzoo), _pairs, 1e-4, 3e-3, is_descent=True),
    "mezo_gv": Recipe(
        made(zojax.mezo_gv, told=("candidates", "sampler")),
        _and_a_pair,
        3e-4,
        1e-2,
        num_queries=4,
        samplers=_DENSE,
    ),
    # An anchor of one batch, as those of the task differ little.
    "mezo_svrg": Recipe(
        made(zojax.mezo_svrg),
        _pairs_at_two_points,
        3e-4,
        1e-2,
        at_first=-1,
    ),
    "sparse_mezo": Recipe(made(zojax.sparse_mezo), _pairs, 1e-3, 3e-2, samplers=_DENSE),
    "unbiased_zo": Recipe(
        made(zojax.unbiased_zo), _three_and_base, 1e-3, 1e-2, samplers=_SPHERE, is_descent=True
    ),
    # The rates of the next four were not searched, nor those of the two before for LoRA.
    "zo_adamu": Recipe(
        made(zojax.zo_adamu, told=()),
        _pairs,
        1e-4,
        1e-2,
        samplers=("gaussian",),
        one_direction=True,
    ),
    "dizo": Recipe(
        made(zojax.dizo, told=("sampler",), projected=_keys_and_values_or_all),
        _pairs,
        1e-4,
        1e-2,
        samplers=_DENSE,
        one_direction=True,
    ),
    "zo_hgd": Recipe(
        made(zojax.zo_hgd, num_coordinates=_COORDINATES),
        _and_coordinates,
        1e-3,
        1e-2,
        num_queries=10,
        samplers=_SPHERE,
    ),
    "p_gap": Recipe(
        # No scale, so that vectors and matrices go with one rate.
        made(zojax.p_gap, told=("rank",), scale=None),
        _pairs,
        1e-4,
        1e-2,
        samplers=("factored",),
        sampler_rank=32,
        one_direction=True,
        at_first=20,
    ),
    "zo_sgd": Recipe(
        made(zojax.zo_sgd),
        _one_sided,
        1e-3,
        1e-2,
        num_queries=10,
        samplers=_SPHERE,
        is_descent=True,
    ),
    "zo_sign_sgd": Recipe(
        made(zojax.zo_sign_sgd), _one_sided, 3e-4, 3e-3, num_queries=10, samplers=_SPHERE
    ),
    "zo_adamm": Recipe(
        made(zojax.zo_adamm), _one_sided, 1e-3, 1e-2, num_queries=10, samplers=_SPHERE
    ),
    "zo_rmsprop": Recipe(made(zojax.zo_rmsprop), _one_sided, 3e-4, 3e-3, num_queries=10),
    "adamw": Recipe(
        _adamw,
        lambda _: _first_order.GRADIENT_COST,
        3e-4,
        1e-3,
        samplers=(),
        prefix_learning_rate=1e-2,
    ),
}
