"""The methods of `finetune`, each with the numbers that it starts from.

Shape and law of a method (queries, radius, rank, period, momentum) are those of its paper's runs
on language models. A learning rate cannot be: it depends on the model. Those here suit the shipped
one, searched over half decades; a larger model wants a smaller one (MeZO on OPT-13B: 1e-7 to 1e-6).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import optax

import zojax
from experiments import _first_order
from experiments._schedules import scaled
from zojax import Axes


class MethodSettings(Protocol):
    """What a method is told of the settings of a run; nothing that it needs is None there."""

    @property
    def rate(self) -> optax.ScalarOrSchedule: ...
    @property
    def radius(self) -> float: ...
    @property
    def num_queries(self) -> int: ...
    @property
    def sampler(self) -> str: ...
    @property
    def sampler_rank(self) -> int: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def weight_decay_mask(self) -> Callable[[Any], Any]: ...
    @property
    def accumulate(self) -> int: ...


# settings, key, chunk size (1 if left out), axes of the mesh (none if left out)
Method = Callable[..., optax.GradientTransformationExtraArgs]

_NONE = Axes()
_COORDINATES = 5  # of ZO-HGD
_LAWS = ("gaussian", "rademacher", "sphere", "coordinate", "factored")
_DENSE = ("gaussian", "rademacher")
_FACTORED = ("factored", *(law for law in _LAWS if law != "factored"))
_SIGNS = ("rademacher", *(law for law in _LAWS if law != "rademacher"))
_SPHERE = ("sphere", *(law for law in _LAWS if law != "sphere"))


class Recipe(NamedTuple):
    """A method and its defaults.

    Attributes:
      make: builds it from settings in which nothing is None, a key, how many directions are
        evaluated side by side, which the settings may leave open, and the axes of the mesh.
      evaluations: loss evaluations an update, given its directions.
      learning_rate: for all weights.
      lora_learning_rate: for LoRA.
      radius: for all weights.
      num_queries: directions an update.
      samplers: the laws that it can be given; the first is its own. Empty for a method that takes
        gradients: it has neither directions nor a radius.
      sampler_rank: the rank of its own factored directions.
      prefix_learning_rate: for a prefix; None where it was not searched, and LoRA's is taken.
      needs_lora: whether it only trains LoRA adapters.
      one_direction: whether an update takes a single one.
      is_descent: whether an update is the estimate times the learning rate, for all weights.
      at_first: loss evaluations of the first update besides, and of others now and then.
    """

    make: Method
    evaluations: Callable[[int | None], int]
    learning_rate: float
    lora_learning_rate: float
    radius: float = 1e-3
    num_queries: int = 1
    samplers: tuple[str, ...] = _LAWS
    sampler_rank: int = 1
    prefix_learning_rate: float | None = None
    needs_lora: bool = False
    one_direction: bool = False
    is_descent: bool = False
    at_first: int = 0

    def rate(self, adapter: str) -> float:
        """The learning rate for what is trained: "none" for all weights, "lora" or "prefix"."""
        if adapter == "none":
            return self.learning_rate
        return (adapter == "prefix" and self.prefix_learning_rate) or self.lora_learning_rate

    @property
    def takes_gradients(self) -> bool:
        """Whether an update is made of a gradient, not of losses alone."""
        return not self.samplers


SAMPLERS: dict[str, Callable[[MethodSettings], zojax.Sampler]] = {
    "gaussian": lambda settings: zojax.gaussian(),
    "rademacher": lambda settings: zojax.rademacher(),
    "sphere": lambda settings: zojax.sphere(),
    "coordinate": lambda settings: zojax.coordinate(),
    "factored": lambda settings: zojax.factored(settings.sampler_rank),
}


def _pairs(num_queries: int) -> int:
    return 2 * num_queries


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


def _three_and_base(num_queries: int) -> int:
    return 3 * num_queries + 1


def _and_coordinates(num_queries: int) -> int:
    return num_queries + 1 + 2 * _COORDINATES


def _no_base(num_queries: int) -> int:
    return num_queries


def _common(settings: MethodSettings, axes: Axes) -> dict[str, Any]:
    """What every method without gradients is told."""
    return {
        "radius": settings.radius,
        "weight_decay": settings.weight_decay,
        "weight_decay_mask": settings.weight_decay_mask,
        "accumulate": settings.accumulate,
        "axes": axes,
    }


def _simple(method: Callable[..., Any], **options: Any) -> Method:
    """A method with a law of its own choice, of which the settings say nothing else."""

    def make(
        settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
    ) -> optax.GradientTransformationExtraArgs:
        return method(
            settings.rate,
            key,
            num_queries=settings.num_queries,
            sampler=SAMPLERS[settings.sampler](settings),
            chunk_size=chunk_size,
            **_common(settings, axes),
            **options,
        )

    return make


def _two_rates(method: Callable[..., Any]) -> Method:
    """A method of matrices, which has another rate for the other leaves."""

    def make(
        settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
    ) -> optax.GradientTransformationExtraArgs:
        return method(
            settings.rate,
            key,
            # The ratio in ZO-Muon's code for vision models; its code for OPT-13B has 1e-5.
            learning_rate_1d=scaled(1e-2, settings.rate),
            num_queries=settings.num_queries,
            rank=settings.sampler_rank,
            chunk_size=chunk_size,
            **_common(settings, axes),
        )

    return make


def _own_law(method: Callable[..., Any], **options: Any) -> Method:
    """A method that has no choice of its law."""

    def make(
        settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
    ) -> optax.GradientTransformationExtraArgs:
        return method(
            settings.rate,
            key,
            num_queries=settings.num_queries,
            chunk_size=chunk_size,
            **_common(settings, axes),
            **options,
        )

    return make


def _low_rank(method: Callable[..., Any], **options: Any) -> Method:
    """A method whose own directions are of the rank that the settings name."""

    def make(
        settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
    ) -> optax.GradientTransformationExtraArgs:
        return method(
            settings.rate,
            key,
            num_queries=settings.num_queries,
            rank=settings.sampler_rank,
            chunk_size=chunk_size,
            **_common(settings, axes),
            **options,
        )

    return make


def _ar1_zo(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
) -> optax.GradientTransformationExtraArgs:
    del chunk_size  # one direction
    sampler = SAMPLERS[settings.sampler](settings)
    return zojax.ar1_zo(settings.rate, key, sampler=sampler, **_common(settings, axes))


def _mezo_gv(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
) -> optax.GradientTransformationExtraArgs:
    return zojax.mezo_gv(
        settings.rate,
        key,
        candidates=settings.num_queries,
        sampler=SAMPLERS[settings.sampler](settings),
        chunk_size=chunk_size,
        **_common(settings, axes),
    )


def _dizo(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
) -> optax.GradientTransformationExtraArgs:
    return zojax.dizo(
        settings.rate,
        key,
        projected=_keys_and_values_or_all,
        sampler=SAMPLERS[settings.sampler](settings),
        chunk_size=chunk_size,
        **_common(settings, axes),
    )


def _keys_and_values_or_all(path: tuple, leaf: jax.Array) -> bool:
    """All leaves of an adapter or a prefix, which have no such names."""
    names = {jax.tree_util.keystr((entry,), simple=True) for entry in path}
    is_added = any("lora" in name or "prefix" in name for name in names)
    return is_added or zojax.samplers.keys_and_values(path, leaf)


def _zo_hgd(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
) -> optax.GradientTransformationExtraArgs:
    return zojax.zo_hgd(
        settings.rate,
        key,
        num_queries=settings.num_queries,
        num_coordinates=_COORDINATES,
        sampler=SAMPLERS[settings.sampler](settings),
        chunk_size=chunk_size,
        **_common(settings, axes),
    )


def _p_gap(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
) -> optax.GradientTransformationExtraArgs:
    return zojax.p_gap(
        settings.rate,
        key,
        rank=settings.sampler_rank,
        scale=None,  # so that vectors and matrices go with one rate
        chunk_size=chunk_size,
        **_common(settings, axes),
    )


def _zo_adamu(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
) -> optax.GradientTransformationExtraArgs:
    return zojax.zo_adamu(settings.rate, key, chunk_size=chunk_size, **_common(settings, axes))


def _adamw(
    settings: MethodSettings, key: jax.Array, chunk_size: int = 1, axes: Axes = _NONE
) -> optax.GradientTransformationExtraArgs:
    del key, chunk_size, axes
    return _first_order.adamw(settings.rate, settings.weight_decay, settings.weight_decay_mask)


METHODS: dict[str, Recipe] = {
    "mezo": Recipe(
        _simple(zojax.mezo), _pairs, 1e-4, 1e-2, prefix_learning_rate=1.0, is_descent=True
    ),
    "mezo_adam": Recipe(_simple(zojax.mezo_adam), _pairs, 1e-3, 1e-2, prefix_learning_rate=3e-2),
    "mezo_bcd": Recipe(_simple(zojax.mezo_bcd), _pairs, 1e-3, 3e-2, samplers=_DENSE),
    "zo_muon": Recipe(
        _two_rates(zojax.zo_muon),
        _around_base,
        1e-2,
        1e-2,
        num_queries=4,
        samplers=("factored",),
        sampler_rank=64,
    ),
    "zo_mopi": Recipe(
        _two_rates(zojax.zo_mopi),
        _around_base,
        1e-2,
        1e-2,
        num_queries=4,
        samplers=("factored",),
        sampler_rank=64,
    ),
    "loren": Recipe(
        _own_law(zojax.loren), _no_base, 1e-4, 3e-3, num_queries=6, samplers=("gaussian",)
    ),
    "eggroll": Recipe(
        _simple(zojax.eggroll), _pairs, 1e-2, 1e-1, num_queries=8, samplers=_FACTORED
    ),
    # Its learning rate is a length, that of a step over the root of the weights.
    "fzoo": Recipe(_simple(zojax.fzoo), _one_sided, 1e-2, 1e-1, num_queries=8, samplers=_SIGNS),
    "hizoo": Recipe(_own_law(zojax.hizoo), _pairs_and_base, 3e-4, 3e-2, samplers=("gaussian",)),
    "lozo": Recipe(
        _low_rank(zojax.lozo), _pairs, 3e-4, 3e-2, samplers=("factored",), sampler_rank=2
    ),
    "meazo": Recipe(_simple(zojax.meazo), _pairs, 1e-3, 1e-2),
    "spsa": Recipe(_simple(zojax.spsa), _pairs, 6e-4, 6e-2, samplers=_SIGNS),
    "subzero": Recipe(
        _low_rank(zojax.subzero), _pairs, 3e-4, 3e-2, samplers=("factored",), sampler_rank=8
    ),
    "tezo": Recipe(
        _low_rank(zojax.tezo), _pairs, 1e-3, 1e-2, samplers=("factored",), sampler_rank=32
    ),
    "r_adazo": Recipe(_simple(zojax.r_adazo), _one_sided, 3e-4, 3e-3, num_queries=10),
    # As on language models: the last 16 pairs, and plain momentum for the first 30 steps.
    "zoar": Recipe(
        _simple(
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
    "conmezo": Recipe(_simple(zojax.conmezo), _pairs, 1e-4, 1e-2, samplers=_DENSE),
    "kerzoo": Recipe(_simple(zojax.kerzoo), _pairs, 1e-4, 3e-3, is_descent=True),
    "mezo_gv": Recipe(_mezo_gv, _and_a_pair, 3e-4, 1e-2, num_queries=4, samplers=_DENSE),
    "sparse_mezo": Recipe(_simple(zojax.sparse_mezo), _pairs, 1e-3, 3e-2, samplers=_DENSE),
    "unbiased_zo": Recipe(
        _simple(zojax.unbiased_zo), _three_and_base, 1e-3, 1e-2, samplers=_SPHERE, is_descent=True
    ),
    # The rates of the next four were not searched, nor those of the two before for LoRA.
    "zo_adamu": Recipe(_zo_adamu, _pairs, 1e-4, 1e-2, samplers=("gaussian",), one_direction=True),
    "dizo": Recipe(_dizo, _pairs, 1e-4, 1e-2, samplers=_DENSE, one_direction=True),
    "zo_hgd": Recipe(_zo_hgd, _and_coordinates, 1e-3, 1e-2, num_queries=10, samplers=_SPHERE),
    "p_gap": Recipe(
        _p_gap,
        _pairs,
        1e-4,
        1e-2,
        samplers=("factored",),
        sampler_rank=32,
        one_direction=True,
        at_first=20,
    ),
    "zo_sgd": Recipe(
        _simple(zojax.zo_sgd),
        _one_sided,
        1e-3,
        1e-2,
        num_queries=10,
        samplers=_SPHERE,
        is_descent=True,
    ),
    "zo_sign_sgd": Recipe(
        _simple(zojax.zo_sign_sgd), _one_sided, 3e-4, 3e-3, num_queries=10, samplers=_SPHERE
    ),
    "zo_adamm": Recipe(
        _simple(zojax.zo_adamm), _one_sided, 1e-3, 1e-2, num_queries=10, samplers=_SPHERE
    ),
    "zo_rmsprop": Recipe(_simple(zojax.zo_rmsprop), _one_sided, 3e-4, 3e-3, num_queries=10),
    "adamw": Recipe(
        _adamw,
        lambda _: _first_order.GRADIENT_COST,
        3e-4,
        1e-3,
        samplers=(),
        prefix_learning_rate=1e-2,
    ),
}
