"""What is compared: estimators, rules and laws of directions, each with each."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

import zojax

B1, B2, EPS = 0.9, 0.99, 1e-8


class Method(NamedTuple):
    """One of each, by name."""

    estimator: str
    rule: str
    law: str


ESTIMATORS: dict[str, Callable[[float, int], zojax.Estimator]] = {
    "forward": zojax.forward,
    "central": zojax.central,
    "averaged baseline": lambda radius, queries: zojax.averaged_baseline(radius, queries, 5),
}
# Moments as in the experiments of R-AdaZO's authors: without correction of their bias.
RULES: dict[str, Callable[[], optax.GradientTransformation]] = {
    "descent": optax.identity,
    "sign": optax.scale_by_sign,
    "ZO-AdaMM": lambda: zojax.scale_by_zo_adamm(B1, B2, EPS),
    "R-AdaZO": lambda: zojax.scale_by_r_adazo(B1, B2, EPS),
    "RMSProp": lambda: optax.scale_by_rms(B2, EPS, eps_in_sqrt=True, bias_correction=False),
}
LAWS: dict[str, Callable[[], zojax.Sampler]] = {
    "sphere": zojax.sphere,
    "gaussian": zojax.gaussian,
}
METHODS = tuple(itertools.starmap(Method, itertools.product(ESTIMATORS, RULES, LAWS)))


def transformation(
    method: Method,
    rate: jax.Array,
    key: jax.Array,
    *,
    radius: float,
    num_queries: int,
    epsilon: float,
) -> optax.GradientTransformation:
    """Estimate, rule, learning rate and the box; the loss returns the image beside its value."""
    return optax.chain(
        zojax.estimate_gradient(
            key,
            LAWS[method.law](),
            ESTIMATORS[method.estimator](radius, num_queries),
            chunk_size=num_queries,
            has_aux=True,
        ),
        RULES[method.rule](),
        optax.scale_by_learning_rate(rate),
        zojax.project_to_box(-epsilon, epsilon),
    )
