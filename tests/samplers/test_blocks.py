"""Directions on one block of params at a time."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from zojax.noise import Law
from zojax.recipes import Block

# A stack of three, a matrix cut into its two columns, two leaves that are one block: six blocks.
PARAMS = {
    "bias": jnp.zeros(3),
    "columns": jnp.zeros((3, 2)),
    "head": jnp.zeros((2, 3)),
    "stack": jnp.zeros((3, 2, 3)),
}
LABELS = {
    "bias": "head",
    "columns": zojax.Slices("columns", (1,)),
    "head": "head",
    "stack": zojax.Slices("stack"),
}
COUNT = 6
LAWS = {"gaussian": zojax.gaussian(), "rademacher": zojax.rademacher()}

quickly_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def dense(sampler, key, steps, params=PARAMS, num_queries=2):
    """Z of each step and query, and the sampler's state after the step."""

    def step(state, index):
        directions, state = sampler.draw(state, key, index, num_queries, params)
        z = jax.vmap(lambda direction: zojax.materialize(direction, params))(directions)
        return state, (z, state)

    return jax.lax.scan(step, sampler.init(params), jnp.arange(steps))[1]


def touched(z):
    """(steps, entries of params): what any query of a step moves."""
    return np.concatenate(
        [np.any(np.asarray(leaf) != 0, 1).reshape(len(leaf), -1) for leaf in jax.tree.leaves(z)], 1
    )


@pytest.mark.parametrize("law", LAWS)
def test_a_cycle_touches_every_entry_once(law, key):
    """Also of the next cycle, whose order is another, and `state` says which block it was."""
    sampler = zojax.blocks(LAWS[law], LABELS)
    z, state = quickly_compiled(lambda: dense(sampler, key, 2 * COUNT))()
    entries = touched(z)
    for cycle in (entries[:COUNT], entries[COUNT:]):
        np.testing.assert_array_equal(cycle.sum(0), 1)
    np.testing.assert_array_equal(np.sort(state.block[:COUNT]), np.arange(COUNT))
    assert (state.block[:COUNT] != state.block[COUNT:]).any()
    for block in range(COUNT):
        first, second = (entries[step] for step in np.flatnonzero(state.block == block))
        np.testing.assert_array_equal(first, second)
    assert sorted(entries[:COUNT].sum(1)) == [3, 3, 6, 6, 6, 9]


def test_slices_and_queries_and_steps_have_noise_of_their_own(key):
    sampler = zojax.blocks(zojax.gaussian(bits=32), LABELS, order="cyclic")
    z, _ = quickly_compiled(lambda: dense(sampler, key, 2 * COUNT))()
    values = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(z)])
    values = values[values != 0]
    assert len(np.unique(values)) == len(values) == 2 * 2 * 33


def test_hold_keeps_the_block_and_not_the_noise(key):
    sampler = zojax.blocks(zojax.gaussian(), LABELS, order="cyclic", hold=3)
    z, state = quickly_compiled(lambda: dense(sampler, key, 8))()
    # In the order of the labels: head, columns, stack.
    np.testing.assert_array_equal(state.block, [0, 0, 0, 1, 1, 1, 2, 2])
    assert (z["bias"][0] != z["bias"][1]).all()
    np.testing.assert_array_equal(z["bias"][3:], 0)


@pytest.mark.parametrize("law", [*LAWS, "factored"])
def test_one_block_is_the_sampler_itself(law, key):
    sampler = LAWS.get(law, zojax.factored(1))
    single = jax.tree.map(lambda _: "all", PARAMS)
    pair = (sampler, zojax.blocks(sampler, single))
    plain, (z, _) = quickly_compiled(lambda: [dense(one, key, 3) for one in pair])()
    chex.assert_trees_all_equal(z, plain[0])


def test_earlier_directions_are_drawn_again(key):
    sampler = zojax.blocks(zojax.rademacher(), LABELS)

    @quickly_compiled
    def both():
        def again(step):
            directions = sampler.recall(key, step, 2, PARAMS)
            return jax.vmap(lambda direction: zojax.materialize(direction, PARAMS))(directions)

        return dense(sampler, key, 4)[0], jax.lax.map(again, jnp.arange(4))

    drawn, recalled = both()
    chex.assert_trees_all_equal(recalled, drawn)


def test_covariance_is_that_of_the_sampler_shared_by_the_blocks():
    covariance = zojax.blocks(zojax.gaussian(), LABELS).covariance(PARAMS)
    assert covariance == jax.tree.map(lambda _: 1 / COUNT, PARAMS)


def test_blocks_times_the_mean_estimate_is_the_gradient_exactly(key, x64):
    """Over all blocks and all signs, on a quadratic, where the central difference is exact.

    Four blocks of one row of two entries: z is one of four vectors of signs in the active one. Sums
    of 16 numbers of order 1 in double precision.
    """
    rng = np.random.default_rng(0)
    params = {"b": jnp.array(rng.normal(size=2)), "w": jnp.array(rng.normal(size=(3, 2)))}
    hessian = jnp.array(rng.normal(size=(8, 8)))
    slope = jnp.array(rng.normal(size=8))

    def loss(x):
        flat = jnp.concatenate([x["b"], x["w"].ravel()])
        return flat @ hessian @ flat / 2 + slope @ flat

    def mean_of_signs(signs):
        def call(key, calls, width, first):
            words = jax.lax.bitcast_convert_type(jnp.tile(signs, (*calls.shape, 1)), jnp.uint32)
            return words, words

        def of_bits(words):
            return jax.lax.bitcast_convert_type(words, jnp.float32)

        law = Law(32, of_bits, call)

        def recall(*args):
            return tuple(
                rows.__class__(rows.key, rows.scale, rows.start, law, rows.axes)
                for rows in zojax.gaussian().recall(*args)
            )

        given = zojax.gaussian()._replace(recall=recall)
        sampler = zojax.blocks(given, {"b": 0, "w": zojax.Slices("w")}, order="cyclic")
        tx = zojax.estimate_gradient(key, sampler, zojax.central(0.5))

        def step(state, _):
            updates, state = tx.update(None, state, params, value_fn=loss)
            return state, updates

        estimates = jax.lax.scan(step, tx.init(params), length=4)[1]
        return jax.tree.map(lambda leaf: leaf.sum(0), estimates)

    @jax.jit
    def run():
        patterns = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], jnp.float32)
        sums = jax.lax.map(mean_of_signs, patterns)
        return jax.tree.map(lambda leaf: leaf.mean(0), sums), jax.grad(loss)(params)

    estimate, gradient = run()
    chex.assert_trees_all_close(estimate, gradient, rtol=1e-12, atol=1e-13)


INNER = {
    "adam": optax.adam(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9),
}


@pytest.mark.parametrize("inner", INNER)
def test_links_inside_see_the_steps_of_their_block_alone(inner, key):
    """As if each block had links of its own, counts included; rtol: two programs in float32."""
    link = INNER[inner]
    order = (0, 2, 0, 5, 2, 0)
    params = jax.tree.map(lambda leaf: leaf + 1, PARAMS)

    def loss(x):
        return sum(jnp.sum(jnp.sin(leaf) * leaf) for leaf in jax.tree.leaves(x))

    def updates_of(inner):
        sampler = zojax.blocks(zojax.gaussian(), LABELS, order=order)
        tx = zojax.estimate_gradient(key, sampler, zojax.central(0.1), inner=inner)

        def step(state, _):
            updates, state = tx.update(None, state, params, value_fn=loss)
            return state, updates

        return jax.lax.scan(step, tx.init(params), length=len(order))

    @jax.jit
    def run():
        (state, got), (_, estimates) = updates_of(link), updates_of(optax.identity())
        expected = jax.tree.map(jnp.zeros_like, got)
        for block in set(order):
            steps = np.flatnonzero(np.array(order) == block)
            own = link.init(params)
            for step in steps:
                one = jax.tree.map(lambda leaf, step=step: leaf[step], estimates)
                update, own = link.update(one, own, params)
                active = jax.tree.map(lambda leaf: leaf != 0, one)
                expected = jax.tree.map(
                    lambda all, u, a, step=step: all.at[step].set(jnp.where(a, u, -0.0)),
                    expected,
                    update,
                    active,
                )
        return got, expected, state

    got, expected, state = run()
    chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-8)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a != 0, b != 0), got, expected)
    if inner == "adam":
        np.testing.assert_array_equal(optax.tree.get(state.inner[0], "count"), [3, 0, 2, 0, 0, 1])


def test_schedules_inside_count_the_steps_of_the_run(key):
    """The rate of step t is t, whatever block is active."""

    def run(links):
        sampler = zojax.blocks(zojax.rademacher(), LABELS)
        tx = zojax.estimate_gradient(key, sampler, zojax.central(), inner=links)

        def step(state, _):
            updates, state = tx.update(None, state, PARAMS, value_fn=lambda x: x["bias"].sum() + 1)
            return state, updates["bias"]

        return jax.lax.scan(step, tx.init(PARAMS), length=2 * COUNT)[1]

    scheduled = optax.chain(optax.trace(0.0), optax.scale_by_schedule(lambda count: count))
    got, plain = jax.jit(lambda: (run(scheduled), run(optax.identity())))()
    assert (plain != 0).any(1).sum() == 2
    np.testing.assert_allclose(got, np.arange(2 * COUNT)[:, None] * plain, rtol=1e-6)


def test_links_inside_see_active_params_and_wide_estimates(key):
    """Of bfloat16 params, in float32."""
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) + 3, PARAMS)
    seen = {}

    def update(updates, state, params=None):
        seen.update(updates=updates, state=state, params=params)
        return updates, state

    record = optax.GradientTransformation(optax.tree.zeros_like, update)
    sampler = zojax.blocks(zojax.rademacher(), LABELS, order=(4,))
    tx = zojax.estimate_gradient(key, sampler, zojax.central(0.5), inner=record)
    state = tx.init(params)
    updates = jax.eval_shape(
        lambda: tx.update(None, state, params, value_fn=lambda x: x["stack"].sum())
    )[0]
    for part in ("updates", "state"):
        assert {leaf.dtype for leaf in jax.tree.leaves(seen[part])} == {jnp.dtype("float32")}
    shapes = {name: leaf.shape for name, leaf in seen["params"].items()}
    assert shapes == {"bias": (3,), "columns": (3, 1), "head": (2, 3), "stack": (1, 2, 3)}
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype("bfloat16")}


def test_a_direction_is_a_block_of_each_leaf(key):
    directions, _ = zojax.blocks(zojax.gaussian(), LABELS).draw(None, key, 0, 3, PARAMS)
    assert all(isinstance(block, Block) for block in directions)
    assert all(len(leaf) == 3 for leaf in jax.tree.leaves(directions))


def test_samplers_that_remember_are_refused():
    kept = zojax.factored(1, left="haar", core="gaussian", right_period=3)
    with pytest.raises(ValueError, match=r"blocks needs a sampler without state, such as zojax"):
        zojax.blocks(kept, LABELS).init(PARAMS)


def test_hold_is_at_least_one():
    with pytest.raises(ValueError, match="hold must be an integer of at least 1, got 0"):
        zojax.blocks(zojax.gaussian(), hold=0)
