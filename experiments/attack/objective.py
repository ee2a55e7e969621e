"""What an attack minimizes, and the box that it stays in.

    x' = clip(image + clip(δ, -ε, ε), 0, 1)                                                      (1)
    f(δ) = max_{j ≠ target} log p_j(x') - log p_target(x')                                       (2)

with target = (label + 1) mod 10. The attack has succeeded where f < 0: the classifier says the
target. As in the authors' code of ZoAR (arXiv:2506.14460), where ε = 0.2 on MNIST.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from experiments.attack.victim import CLASSES

LogProbabilities = Callable[[jax.Array], jax.Array]


def target_of(label: jax.Array) -> jax.Array:
    """The digit that the classifier is to see."""
    return (label + 1) % CLASSES


def adversarial(delta: jax.Array, image: jax.Array, epsilon: float) -> jax.Array:
    """Equation (1); whatever delta is, the result is an image, and near the original."""
    return jnp.clip(image + jnp.clip(delta, -epsilon, epsilon), 0, 1)


def margin(log_probabilities: jax.Array, target: jax.Array) -> jax.Array:
    """Equation (2) of the log-probabilities, (10,), of one image."""
    is_target = jnp.arange(CLASSES) == target
    return jnp.max(jnp.where(is_target, -jnp.inf, log_probabilities)) - log_probabilities[target]


def make_loss(
    log_probabilities: LogProbabilities, image: jax.Array, label: jax.Array, epsilon: float
) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """The function δ (8, 8) → f(δ), (), and the image x' that the classifier was asked about."""

    def loss(delta: jax.Array) -> tuple[jax.Array, jax.Array]:
        asked = adversarial(delta, image, epsilon)
        return margin(log_probabilities(asked[None])[0], target_of(label)), asked

    return loss
