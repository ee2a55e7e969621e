"""Losses that a sampler asks for before it draws, and where they are kept."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from zojax._measurement import Losses
from zojax._typing import Key, Params
from zojax.estimators._accumulating import no_losses
from zojax.estimators._estimator import Estimator
from zojax.estimators._measuring import Answer
from zojax.evaluation import Summaries, Summarize
from zojax.recipes import OneByOne
from zojax.samplers import Sampler


def no_losses_of_step(
    sampler: Sampler, estimator: Estimator, state: Any, key: Key, params: Params
) -> jax.Array:
    """Zeros in the place of the losses of a step, (n,): first those that guide it."""
    behind = no_losses(estimator)
    if sampler.guide is None:
        return behind

    def asked(state: Any, key: Key, params: Params) -> jax.Array:
        losses, answers = recorded_in_turn(None)
        sampler.guide(state, key, jnp.int32(0), params, losses)
        return one_axis(answers)

    before = jax.eval_shape(asked, state, key, params)
    return jnp.concatenate([jnp.zeros(before.shape, behind.dtype), behind])


def one_axis(answers: list[Answer]) -> jax.Array:
    """Their losses one behind the other, (n,)."""
    return jnp.concatenate([answer.losses.reshape(-1) for answer in answers])


def recorded_in_turn(recorded: jax.Array | None) -> tuple[Losses, list[Answer]]:
    """Answers in the order of the questions, from losses (n,) or, for shapes alone, of zeros.

    Returns:
      As `Measure.losses`.
    """
    answers: list[Answer] = []

    def answer(shape: tuple[int, ...], when: ArrayLike = True) -> jax.Array:  # noqa: FBT002
        first = sum(answer.losses.size for answer in answers)
        if recorded is None:
            losses = jnp.zeros(shape)
        else:
            losses = recorded[first : first + math.prod(shape)].reshape(shape)
        answers.append(Answer.of(losses, when))
        return losses

    def along(
        directions: Any,
        radii: jax.Array,
        when: ArrayLike = True,  # noqa: FBT002
    ) -> jax.Array:
        if isinstance(directions, OneByOne):
            count = directions.num_queries
        else:
            count = jax.tree.leaves(directions)[0].shape[0]
        return answer((count, *jnp.shape(radii)[-1:]), when)

    def inputs(summarize: Summarize) -> Summaries:
        del summarize
        answer(())
        return {}

    return Losses(lambda: answer(()), along, inputs if recorded is None else None), answers
