"""GRZO and AGZO at once: a direction for each example, in the span of what a layer is given.

No paper has it. On the shipped default it is ahead of both (docs/methods.md).
"""

from typing import Any

import jax
import optax

import zojax

RANK = 8


def grzo_agzo(
    learning_rate: optax.ScalarOrSchedule, key: jax.Array, **options: Any
) -> optax.GradientTransformationExtraArgs:
    """GRZO along `zojax.activation_guided` directions; see `zojax.grzo`.

    Args:
      learning_rate: as of `zojax.grzo`.
      key: a typed key.
      **options: of `zojax.grzo`.
    """
    return zojax.grzo(learning_rate, key, sampler=zojax.activation_guided(RANK), **options)
