"""MeZO-SVRG is the loop of its paper, MeZO with anchors alone, and free of the noise of batches."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.reference.mezo_svrg import mezo_svrg as reference
from zojax.transforms import estimate_with_anchor

_RNG = np.random.default_rng(4)
START = {"b": _RNG.normal(size=2), "w": _RNG.normal(size=(3, 2))}
STEPS = 8
# A batch for each step: four rows of features and labels.
FEATURES = _RNG.normal(size=(STEPS, 4, 3))
LABELS = _RNG.choice([-1.0, 1.0], size=(STEPS, 4, 2))


def logistic(x, features, labels, numbers=jnp):
    margins = labels * (features @ x["w"] + x["b"])
    return numbers.mean(numbers.log1p(numbers.exp(-margins)))


def tilted(x, tilt):
    """Quadratics with the same curvature, and a linear term that is the batch's own."""
    return sum(jnp.sum((i + 1) * leaf**2 + tilt * leaf) for i, leaf in enumerate(x.values()))


def run(tx, loss, start, **batches):
    """Params after each step, and the last state."""

    def step(carry, batch):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=loss, **batch)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    return jax.jit(lambda x: jax.lax.scan(step, (x, tx.init(x)), batches))(start)


def directions(key, step, num_queries):
    """Those of a step, dicts of float64 arrays."""
    drawn = zojax.gaussian().recall(key, jnp.int32(step), num_queries, START)
    dense = jax.vmap(lambda direction: zojax.materialize(direction, START))(drawn)
    return [{name: np.float64(dense[name][k]) for name in START} for k in range(num_queries)]


def in_numpy(step):
    return lambda x: logistic(x, FEATURES[step], LABELS[step], np)


@pytest.mark.parametrize(
    ("interval", "anchor_batches", "num_queries"),
    [(2, 1, 1), (3, 2, 2)],
    ids=["the paper's cycle", "anchors of two batches, two queries"],
)
def test_eight_steps_equal_the_papers_loop(interval, anchor_batches, num_queries, key, x64):
    """Fed the same z. Directions are float32 here."""
    tx = zojax.mezo_svrg(
        0.1,
        key,
        radius=1e-2,
        num_queries=num_queries,
        interval=interval,
        anchor_batches=anchor_batches,
        anchor_scale=3.0,
    )
    start = jax.tree.map(jnp.asarray, START)
    _, visited = run(tx, logistic, start, features=FEATURES, labels=LABELS)
    length = anchor_batches + interval - 1
    cycles = []
    for first in range(0, STEPS, length):
        parts = [in_numpy(step) for step in range(first, first + anchor_batches)]
        minibatches = [
            (in_numpy(step), directions(key, step, num_queries))
            for step in range(first + anchor_batches, first + length)
        ]
        cycles.append(((parts, directions(key, first, num_queries)), minibatches))
    expected = reference(START, cycles, full_batch_rate=0.3, minibatch_rate=0.1, radius=1e-2)
    moving = [step for step in range(STEPS) if step % length >= anchor_batches - 1]
    assert len(moving) == len(expected)
    for step, x in zip(moving, expected, strict=True):
        for name in x:
            np.testing.assert_allclose(visited[name][step], x[name], rtol=1e-6, atol=1e-7)


def test_with_anchors_of_one_batch_alone_it_is_mezo(key):
    x, tilts = jax.tree.map(jnp.float32, START), jnp.linspace(-1.0, 1.0, 4)
    make = {"radius": 0.1, "num_queries": 2, "weight_decay": 0.1}
    (_, state), visited = run(zojax.mezo_svrg(0.02, key, interval=1, **make), tilted, x, tilt=tilts)
    (_, of_mezo), expected = run(zojax.mezo(0.02, key, **make), tilted, x, tilt=tilts)
    chex.assert_trees_all_close(visited, expected, rtol=1e-6)
    spent, expected = (optax.tree.get(s, "num_evaluations") for s in (state, of_mezo))
    assert spent == expected == 16


def test_linear_terms_of_batches_drop_out(key, x64):
    """Where quadratics differ in them alone, a step between anchors does not know its batch."""
    x = jax.tree.map(jnp.asarray, START)
    tx = zojax.mezo_svrg(0.02, key, radius=0.5, interval=5)
    one, other = (
        run(tx, tilted, x, tilt=jnp.array([0.3, *tilts]))[1]
        for tilts in ([0.0, 0.0, 0.0, 0.0], [9.0, -9.0, 4.0, -1.0])
    )
    chex.assert_trees_all_close(one, other, rtol=1e-6)


def test_params_rest_while_the_anchor_is_taken(key):
    """Not a bit of them changes, and weights do not decay; what an anchor costs is counted."""
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.mezo_svrg(
        0.02, key, radius=0.5, interval=2, anchor_batches=3, num_queries=2, weight_decay=0.1
    )
    (_, state), visited = run(tx, tilted, x, tilt=jnp.arange(4.0))
    assert all((visited["w"][step] == x["w"]).all() for step in (0, 1))
    assert all((visited["w"][step] != visited["w"][step - 1]).all() for step in (2, 3))
    assert optax.tree.get(state, "num_evaluations") == 3 * 4 + 8
    chex.assert_trees_all_equal(optax.tree.get(state, "anchor"), x)
    assert optax.tree.get(state, "anchor_batches") == 3


def test_a_loss_that_is_not_finite_is_left_out(key):
    """Of the mean of an anchor; and a step between anchors is not taken."""
    x = jax.tree.map(jnp.float32, START)
    tx = zojax.mezo_svrg(0.02, key, radius=0.5, interval=3, anchor_batches=2, weight_decay=0.1)
    (_, state), visited = run(tx, tilted, x, tilt=jnp.array([jnp.nan, 1.0, jnp.inf, 2.0]))
    assert optax.tree.get(state, "num_nonfinite") == 2
    assert optax.tree.get(state, "anchor_batches") == 1
    chex.assert_tree_all_finite(visited)
    rested = jax.tree.map(lambda leaf: leaf[2] - leaf[1], visited)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(rested))
    # The anchor is that of the one batch.
    alone = zojax.mezo_svrg(0.02, key, radius=0.5, interval=4, weight_decay=0.1)
    _, of_one = run(alone, tilted, x, tilt=jnp.array([1.0]))
    chex.assert_trees_all_close(
        *(jax.tree.map(lambda leaf, t=t: leaf[t], v) for v, t in ((visited, 1), (of_one, 0)))
    )


def test_it_stores_one_tree_like_params(key):
    params = {"w": jnp.ones((64, 64), jnp.bfloat16)}
    state = zojax.mezo_svrg(0.1, key).init(params)
    numbers = [leaf for leaf in jax.tree.leaves(state) if leaf.dtype != key.dtype]
    assert sum(leaf.nbytes for leaf in numbers) < params["w"].nbytes + 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": 0}, "interval must be an integer of at least 1, got 0"),
        ({"anchor_batches": 0}, "anchor_batches must be an integer of at least 1, got 0"),
        ({"anchor_scale": -1.0}, "anchor_scale must be a finite number of at least 0, got -1.0"),
        (
            {"sampler": zojax.selected(zojax.gaussian())},
            "directions that can be drawn again, .* such as zojax.gaussian",
        ),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.mezo_svrg(0.1, key, **arguments)


@pytest.mark.parametrize(
    "estimator",
    [zojax.fitness_shaped(0.1, 2), zojax.moving_average(zojax.central(), 2)],
    ids=["not linear", "with a history"],
)
def test_coefficients_have_to_be_linear_in_the_losses_of_a_step(estimator, key):
    with pytest.raises(ValueError, match="linear in the losses of one step"):
        estimate_with_anchor(key, zojax.gaussian(), estimator)
