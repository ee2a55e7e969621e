"""What is asked of every model: the same values, the memory of inference, a loss that falls."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from wild_model import Model

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax.training import peak_bytes

LAWS = {
    "gaussian": zojax.gaussian(),
    "rademacher": zojax.rademacher(),
    "rank 1": zojax.factored(1),
    "rank 4": zojax.factored(4),
}
# The most that a whole step may hold over inference on the doubled batch.
BOUNDS = {"gaussian": 1.03, "rademacher": 1.03, "rank 1": 1.02, "rank 4": 1.05}
RADIUS = 1e-2


def check_lazy_is_plain(model: Model) -> None:
    """The loss along a direction is that of params moved along it."""

    @jax.jit
    def losses(params: Any, batch: Any, held: Any) -> tuple[jax.Array, jax.Array]:
        def loss(params: Any) -> jax.Array:
            return model.loss(params, batch, held)

        lazy, points = [], [params]
        for sampler in (LAWS["gaussian"], LAWS["rank 4"]):
            key = jax.random.key(3)
            directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(0), 1, params)
            z = zojax.materialize(jax.tree.map(lambda array: array[0], directions), params)
            points.append(jax.tree.map(lambda p, z: p + RADIUS * z, params, z))
            lazy.append(zojax.evaluate(loss, params, directions, RADIUS)[0])
        # One after another by a loop, so that the plain loss is compiled once.
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *points)
        return jnp.stack(lazy), jax.lax.map(loss, stacked)

    lazy, (unmoved, *plain) = losses(model.params, model.batch, model.held)
    np.testing.assert_allclose(lazy, plain, rtol=3e-6)
    # Or nothing would have been compared.
    assert np.abs(np.array(plain) - unmoved).min() > 1e-4 * abs(unmoved)


def check_large_leaves_stay_lazy(model: Model) -> None:
    """None of a fiftieth of the weights is drawn as a whole; traced only, nothing is compiled."""
    total = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    drawn = zojax.explain(
        lambda params: model.loss(params, model.batch, model.held), model.params, zojax.gaussian()
    )
    assert [str(leaf) for leaf in drawn if leaf.num_bytes > total / 50] == []


def check_peaks(model: Model) -> None:
    """A step of MeZO needs little more memory than inference (`python -m tests.wild`: all laws)."""
    inference = inference_bytes(model)
    peaks = {law: step_bytes(model, law) / inference for law in ("gaussian", "rank 1")}
    assert {law: peak for law, peak in peaks.items() if peak > BOUNDS[law]} == {}


def step_bytes(model: Model, law: str) -> int:
    """Arguments, results and temporaries of a step whose params and state are donated."""
    tx = zojax.mezo(1e-6, jax.random.key(0), radius=1e-3, sampler=LAWS[law])
    args = _shapes((model.params, jax.eval_shape(tx.init, model.params), model.batch, model.held))
    return peak_bytes(
        jax.jit(_step(model, tx), donate_argnums=(0, 1)).lower(*args).compile(BUFFERS_AS_USERS_HAVE)
    )


def inference_bytes(model: Model) -> int:
    """The same of the plain loss on twice the batch."""
    doubled = jax.tree.map(lambda array: jnp.concatenate([array, array]), model.batch)
    args = _shapes((model.params, doubled, model.held))
    return peak_bytes(jax.jit(model.loss).lower(*args).compile(BUFFERS_AS_USERS_HAVE))


def check_training_lowers_the_loss(
    model: Model, learning_rate: float, *, steps: int = 30, by: float = 0.02
) -> None:
    """Steps of MeZO on one batch bring its loss down by this share at least."""
    tx = zojax.mezo(learning_rate, jax.random.key(5), radius=1e-3, num_queries=4)
    step = _step(model, tx)

    @jax.jit
    def train(params: Any, batch: Any, held: Any) -> tuple[jax.Array, jax.Array]:
        start = params, tx.init(params)
        trained, _ = jax.lax.fori_loop(0, steps, lambda _, now: step(*now, batch, held), start)
        return model.loss(params, batch, held), model.loss(trained, batch, held)

    first, last = train(model.params, model.batch, model.held)
    assert last < (1 - by) * first


def _step(model: Model, tx: optax.GradientTransformation) -> Any:
    def step(params: Any, state: Any, batch: Any, held: Any) -> tuple[Any, Any]:
        updates, state = tx.update(None, state, params, value_fn=model.loss, batch=batch, held=held)
        return optax.apply_updates(params, updates), state

    return step


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), tree)
