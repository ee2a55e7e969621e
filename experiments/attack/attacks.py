"""Many attacks with one method, side by side in one compiled program.

An attack asks for losses until one of them is below 0: that image is adversarial, so no further
query tells it so. Its queries are those up to the end of that step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import zojax
from experiments.attack.methods import LAWS, Method, transformation
from experiments.attack.objective import LogProbabilities, make_loss


class Jobs(NamedTuple):
    """Attacks to make; every field has a leading axis of attacks.

    Attributes:
      images: (n, 8, 8).
      labels: (n,), what the classifier says of them.
      rates: (n,), learning rates.
      seeds: (n,), of the directions.
    """

    images: jax.Array
    labels: jax.Array
    rates: jax.Array
    seeds: jax.Array


class Attacks(NamedTuple):
    """What came of them.

    Attributes:
      succeeded: (n,), whether a loss was below 0 within the budget.
      queries: (n,), up to then; the whole budget where there was no success.
      deltas: (n, 8, 8), from where that step asked; the last one where there was no success.
      steps: (n,), the number of that step.
    """

    succeeded: jax.Array
    queries: jax.Array
    deltas: jax.Array
    steps: jax.Array


def steps_within(method: Method, num_queries: int, budget: int) -> int:
    """How many steps of a method the budget allows; all methods get the same queries."""
    return budget // queries_of_a_step(method, num_queries)


def queries_of_a_step(method: Method, num_queries: int) -> int:
    """Of the classifier."""
    ofs = {"forward": num_queries + 1, "central": 2 * num_queries, "averaged baseline": num_queries}
    return ofs[method.estimator]


def make_attacks(
    method: Method, log_probabilities: LogProbabilities, settings: Any
) -> Callable[[Jobs], Attacks]:
    """Jitted; compiled anew for another number of attacks only."""
    steps = steps_within(method, settings.num_queries, settings.budget)

    def attack(image, label, rate, seed) -> Attacks:
        tx = _transformation(method, rate, jax.random.key(seed), settings)
        loss = make_loss(log_probabilities, image, label, settings.epsilon)
        delta = jnp.zeros_like(image)
        state = tx.init(delta)
        found = Attacks(jnp.bool(0), jnp.int32(0), delta, jnp.int32(0))

        def step(carry, number):
            delta, state, found = carry
            updates, state = tx.update(None, state, delta, value_fn=loss)
            hit = jnp.min(zojax.state_field(state, "last_losses")) < 0
            queries = zojax.state_field(state, "num_evaluations")
            now = Attacks(hit, queries, delta, number)
            # The first success stays; until then everything moves on.
            found = jax.tree.map(lambda old, new: jnp.where(found.succeeded, old, new), found, now)
            return (optax.apply_updates(delta, updates), state, found), None

        carry = delta, state, found
        found = jax.lax.scan(step, carry, jnp.arange(steps, dtype=jnp.int32))[0][2]
        return found._replace(queries=jnp.where(found.succeeded, found.queries, settings.budget))

    return jax.jit(lambda jobs: jax.vmap(attack)(*jobs))


def adversarial_image(
    method: Method,
    log_probabilities: LogProbabilities,
    settings: Any,
    jobs: Jobs,
    attacks: Attacks,
    place: int,
) -> tuple[jax.Array, jax.Array]:
    """The image with which an attack succeeded, (8, 8), and its loss.

    It was never stored: the directions of that step are drawn again from the attack's key, and the
    image is the one of least loss among those that the step asked about.
    """
    delta = attacks.deltas[place]
    key = jax.random.key(jobs.seeds[place])
    sampler = LAWS[method.law]()
    directions, _ = sampler.draw(
        sampler.init(delta), key, attacks.steps[place], settings.num_queries, delta
    )
    image, label = jobs.images[place], jobs.labels[place]
    loss = make_loss(log_probabilities, image, label, settings.epsilon)
    signs = jnp.array([1.0, -1.0] if method.estimator == "central" else [1.0])
    losses, images = zojax.evaluate(loss, delta, directions, settings.radius * signs, has_aux=True)
    losses, images = losses.ravel(), images.reshape(-1, *image.shape)
    if method.estimator == "forward":
        base, asked = loss(delta)
        losses, images = jnp.append(losses, base), jnp.concatenate([images, asked[None]])
    best = jnp.argmin(losses)
    return images[best], losses[best]


def _transformation(
    method: Method, rate: jax.Array, key: jax.Array, settings: Any
) -> optax.GradientTransformation:
    return transformation(
        method,
        rate,
        key,
        radius=settings.radius,
        num_queries=settings.num_queries,
        epsilon=settings.epsilon,
    )
