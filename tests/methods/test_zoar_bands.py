"""ZoAR, R-AdaZO and ZO-AdaMM go down four functions as far as an independent program says.

The numbers are the losses after 5000 steps in 1000 dimensions (mean of three runs) of a numpy
program that reproduced the authors' plots at 10 000 dimensions: 10 queries a step, radius 0.05,
learning rate 1e-3, b1 = 0.9, b2 = 0.99. Nothing is tuned: at one learning rate R-AdaZO takes steps
4.4 times as large as ZO-AdaMM where noise dominates, which is most of what sets the rules apart.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from experiments._functions import FUNCTIONS
from tests.compiling import OPTIMIZED

SIZE, STEPS, SEEDS = 1000, 5000, 3
RADIUS, NUM_QUERIES, LEARNING_RATE = 0.05, 10, 1e-3
RULES = {
    "ZO-AdaMM without max": zojax.scale_by_zo_adamm(amsgrad=False),
    "R-AdaZO": zojax.scale_by_r_adazo(),
}
ESTIMATORS = {
    "forward": zojax.forward(RADIUS, NUM_QUERIES),
    "ZoAR without history": zojax.averaged_baseline(RADIUS, NUM_QUERIES, 0),
    "ZoAR": zojax.averaged_baseline(RADIUS, NUM_QUERIES, 5),
}
NAMES = ("Quadratic", "Levy", "Rosenbrock", "Ackley")
LOSSES = {
    ("forward", "ZO-AdaMM without max"): (205, 168, 8.19e4, 4.311),
    ("forward", "R-AdaZO"): (15.2, 66.8, 1.07e4, 4.084),
    ("ZoAR without history", "ZO-AdaMM without max"): (139, 114, 4.56e4, 3.498),
    ("ZoAR without history", "R-AdaZO"): (0.557, 54.5, 1.19e3, 3.506),
    ("ZoAR", "ZO-AdaMM without max"): (0.553, 57.4, 3.65e3, 3.490),
    ("ZoAR", "R-AdaZO"): (0.595, 54.2, 1.16e3, 3.511),
}
# By what factor a loss may differ. Ackley's go from 5.4 to 3.5 in all.
BANDS = np.array([1.3, 1.3, 1.3, 1.1])
# Here the loss still halves every 150 steps at the end, and the starts are not those of the table.
FALLING = ("ZoAR", "ZO-AdaMM without max")
BAND_OF_FALLING = 3.0


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "rule"), LOSSES)
def test_losses_after_5000_steps_are_those_of_the_table(estimator, rule):
    def loss(x):
        """Of one function of those side by side; each is evaluated once."""
        x = jax.lax.all_gather(x, "functions")
        losses = [FUNCTIONS[name](own) for name, own in zip(NAMES, x, strict=True)]
        return jnp.stack(losses)[jax.lax.axis_index("functions")]

    def run(key):
        link = zojax.estimate_gradient(
            key, zojax.gaussian(), ESTIMATORS[estimator], chunk_size=NUM_QUERIES
        )
        tx = optax.chain(link, RULES[rule], optax.scale_by_learning_rate(LEARNING_RATE))

        def step(carry, _):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=loss)
            return (optax.apply_updates(x, updates), state), None

        x = jax.random.normal(jax.random.fold_in(key, 1), (SIZE,))
        (x, _), _ = jax.lax.scan(step, (x, tx.init(x)), length=STEPS)
        return loss(x)

    @partial(jax.jit, compiler_options=OPTIMIZED)
    def means():
        # On CPU the default generator is the fastest for vectors as short as these. What is drawn
        # depends on the key alone: the functions, side by side, share it.
        keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
        of_all = jax.vmap(run, None, axis_size=len(NAMES), axis_name="functions")
        return jax.lax.map(of_all, keys).mean(0)

    got = np.asarray(means())
    factors = got / LOSSES[estimator, rule]
    bands = BANDS.copy()
    if (estimator, rule) == FALLING:
        bands[0] = BAND_OF_FALLING
    assert (np.maximum(factors, 1 / factors) <= bands).all(), dict(zip(NAMES, got, strict=True))
