"""The noise that other directions are made with."""

from typing import Any

import jax
import jax.numpy as jnp

from zojax._typing import Key, Params
from zojax.recipes import Dense, Directions
from zojax.samplers._sampler import Sampler


def check_dense(sampler: Sampler, params: Params, name: str) -> None:
    """Raises ValueError unless `sampler` draws dense noise and remembers nothing.

    Args:
      sampler: of the noise.
      params: what it is drawn for.
      name: of the sampler that is made with it.
    """

    def first(key: Key, params: Params) -> tuple[Any, Directions]:
        state = sampler.init(params)
        return state, sampler.draw(state, key, jnp.int32(0), 1, params)[0]

    state, drawn = jax.eval_shape(first, jax.random.key(0), params)
    kinds = {type(recipe).__name__ for recipe in drawn}
    if jax.tree.leaves(state) or kinds - {Dense.__name__}:
        raise ValueError(
            f"{name} needs noise that is drawn entry by entry and remembers nothing, such as "
            "zojax.gaussian(), zojax.rademacher() or zojax.sphere(); got a sampler of "
            f"{', '.join(sorted(kinds))}"
        )
