"""What goes into `update` where a tree has to."""

import jax
import jax.numpy as jnp
import optax

from zojax._typing import Params


def no_updates(params: Params) -> optax.Updates:
    """Zeros like params, for wrappers of optax that need a tree of updates to come in.

    An estimate ignores incoming updates, so `update(None, ...)` does for a method and for chains
    that begin with an estimate. Wrappers that look at what comes in (`optax.apply_if_finite`,
    `optax.conditionally_mask`, `optax.MultiSteps`) refuse None with an error about trees:

        tx = optax.apply_if_finite(zojax.mezo(1e-3, key), max_consecutive_errors=5)
        updates, state = tx.update(zojax.no_updates(params), state, params, value_fn=loss)

    Under `jax.jit` they are constants that the compiler folds into what reads them, and take no
    memory; outside of it they are arrays.
    """
    return jax.tree.map(jnp.zeros_like, params)
