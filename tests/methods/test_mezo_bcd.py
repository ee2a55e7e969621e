"""MeZO-BCD moves one block, at the cost of one block."""

import dataclasses
import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import zojax
from experiments.benchmarks._words import Tally
from tests.compiling import BUFFERS_AS_USERS_HAVE
from tests.reference.mezo_bcd import mezo_bcd as reference
from zojax import _thresholds
from zojax.models import OPT, OPTConfig
from zojax.training import Checkpoints

RNG = np.random.default_rng(4)
FEATURES = RNG.normal(size=(8, 3))
LABELS = RNG.choice([-1.0, 1.0], size=(8, 2))
START = {
    "b": RNG.normal(size=2),
    "stack": 0.5 * RNG.normal(size=(2, 3, 3)),
    "w": RNG.normal(size=(3, 2)),
}
BLOCKS = {"b": "out", "stack": zojax.Slices("layers"), "w": "out"}
# What they hold, in the order in which the labels occur.
PARTS = [[("b", ...), ("w", ...)], [("stack", 0)], [("stack", 1)]]
METHODS = {"plain": {}, "decayed": {"weight_decay": 0.3}}


def logistic(x, numbers=jnp):
    h = FEATURES
    for layer in x["stack"]:
        h = numbers.tanh(h @ layer)
    return numbers.mean(numbers.log1p(numbers.exp(-LABELS * (h @ x["w"] + x["b"]))))


def scanned(x):
    """The same, with the layers in a scan."""
    h, _ = jax.lax.scan(lambda h, layer: (jnp.tanh(h @ layer), None), FEATURES, x["stack"])
    return jnp.mean(jnp.log1p(jnp.exp(-LABELS * (h @ x["w"] + x["b"]))))


def single(x):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), x)


@pytest.mark.parametrize(
    ("num_queries", "weight_decay", "order", "hold"),
    [(1, 0.0, "cyclic", 1), (2, 0.3, "permutation", 2)],
    ids=["n=1, cyclic", "n=2 decayed, permutation held"],
)
def test_five_steps_equal_the_loop(num_queries, weight_decay, order, hold, key, x64):
    """Fed the same z and turns. rtol: rounding of float64 losses divided by the radius."""
    x = jax.tree.map(jnp.asarray, START)
    sampler = zojax.blocks(zojax.gaussian(), BLOCKS, order=order, hold=hold)
    tx = zojax.mezo_bcd(
        lambda count: 0.5 / (1 + count),
        key,
        radius=1e-2,
        num_queries=num_queries,
        labels=BLOCKS,
        order=order,
        hold=hold,
        weight_decay=weight_decay,
    )

    @jax.jit
    def run():
        def step(carry, index):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=scanned)
            directions, drawn = sampler.draw(None, key, index, num_queries, x)
            z = jax.vmap(lambda direction: zojax.materialize(direction, x))(directions)
            x = optax.apply_updates(x, updates)
            return (x, state), (z, drawn.block, optax.tree.get(state, "coefficients"))

        (x_end, _), tape = jax.lax.scan(step, (x, tx.init(x)), jnp.arange(5))
        return x_end, *tape

    got, z, turns, coefficients = run()
    directions = [
        [{name: z[name][step, query] for name in z} for query in range(num_queries)]
        for step in range(5)
    ]
    expected, slopes = reference(
        lambda x: logistic(x, np),
        START,
        PARTS,
        turns,
        directions,
        learning_rate=0.5 / np.arange(1, 6),
        radius=1e-2,
        weight_decay=weight_decay,
    )
    assert len(set(turns.tolist())) == 3
    for name in START:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-6)
        assert (got[name] != START[name]).all()
    # The state keeps them in float32.
    np.testing.assert_allclose(coefficients * num_queries, slopes, rtol=1e-6)


def steps_of(tx, value_fn=scanned):
    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def step(x, state, spoil):
        def loss(x):
            return value_fn(x) + jnp.where(spoil, jnp.nan, 0.0)

        updates, state = tx.update(None, state, x, value_fn=loss)
        return optax.apply_updates(x, updates), state, updates

    return step


def bits(x):
    return {name: np.asarray(leaf).tobytes() for name, leaf in x.items()}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_other_blocks_keep_every_bit(dtype, key):
    """Those of -0.0 too, with weight decay; in a step without a finite loss all blocks do."""
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype).at[0].set(-0.0), START)
    x["w"] = x["w"].at[:, 0].set(-0.0)
    tx = zojax.mezo_bcd(0.5, key, labels=BLOCKS, order=(1, 2, 0), weight_decay=0.5)
    step = steps_of(tx, lambda x: scanned(x).astype(jnp.float32) + x["w"].sum() + x["b"].sum())
    state = tx.init(x)
    for turn in (1, 2, 0):
        same, state, updates = step(x, state, True)
        assert bits(same) == bits(x)
        assert all(np.signbit(np.float32(u)).all() for u in updates.values())
        state = state._replace(count=state.count - 1)
        after, state, _ = step(x, state, False)
        expected = {name: np.asarray(leaf) for name, leaf in x.items()}
        moved = {name: np.asarray(leaf) for name, leaf in after.items()}
        for name, index in PARTS[turn]:
            assert (moved[name][index] != expected[name][index]).all()
            expected[name] = expected[name].copy()
            expected[name][index] = moved[name][index]
        assert bits(expected) == bits(moved)
        x = after
    assert optax.tree.get(state, "num_nonfinite") == 3


def test_weight_decay_moves_the_active_block_alone(key):
    """A loss that is constant: what moves is what decays, by η λ; the mask holds inside a block."""
    x = single(START)
    mask = {"b": False, "stack": True, "w": True}
    tx = zojax.mezo_bcd(
        0.5, key, labels=BLOCKS, order=(0, 2), weight_decay=0.5, weight_decay_mask=mask
    )
    step = steps_of(tx, lambda x: jnp.float32(1) + 0 * x["b"].sum())
    one, state, _ = step(x, tx.init(x), False)
    chex.assert_trees_all_close(one, {**x, "w": 0.75 * x["w"]}, rtol=1e-6)
    two, _, _ = step(one, state, False)
    assert bits(two)["w"] == bits(one)["w"]
    np.testing.assert_allclose(two["stack"], x["stack"] * np.array([1, 0.75])[:, None, None], 1e-6)


def test_one_block_is_mezo_bit_by_bit(key):
    """On a loss of whole numbers, which every program evaluates without rounding."""
    x = jax.tree.map(jnp.round, single(START))
    features = jnp.arange(-4.0, 2.0).reshape(2, 3)

    def loss(x):
        return (features @ x["stack"][1] @ jnp.ones(3)).sum() + (features @ x["w"] + x["b"]).sum()

    options = {"radius": 0.125, "sampler": zojax.rademacher()}
    whole = zojax.mezo_bcd(0.5, key, labels=lambda x: jax.tree.map(lambda _: 0, x), **options)
    results = []
    for tx in (zojax.mezo(0.5, key, **options), whole):
        step = steps_of(tx, loss)
        one, state, first = step(x, tx.init(x), False)
        _, state, second = step(one, state, False)
        results.append((first, second, optax.tree.get(state, "coefficients")))
    chex.assert_trees_all_equal(*results)
    assert all((leaf != 0).all() for leaf in jax.tree.leaves(results))


def test_a_resumed_run_goes_on_in_the_same_order(key, tmp_path):
    """Through a checkpoint in the middle of a cycle."""
    x = single(START)
    tx = zojax.mezo_bcd(0.1, key, labels=BLOCKS, hold=2)
    step = steps_of(tx)

    def run(x, state, count):
        turns = []
        for _ in range(count):
            x, state, _ = step(x, state, False)
            turns.append(int(optax.tree.get(state, "block")))
        return x, state, turns

    end, _, turns = run(x, tx.init(x), 9)
    half, state, first = run(x, tx.init(x), 3)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, half, state, loss=0.0)
        abstract = jax.eval_shape(lambda: (half, state))
        half, state = checkpoints.restore(3, params=abstract[0], state=abstract[1])
    resumed, _, second = run(half, state, 6)
    assert first + second == turns
    assert sorted(turns[:6]) == [0, 0, 1, 1, 2, 2]
    assert bits(resumed) == bits(end)


def test_a_separable_quadratic_shrinks_in_every_block(key):
    """By 100 in 300 steps; 2 losses each."""
    x = single(START)
    tx = zojax.mezo_bcd(0.03, key, labels=BLOCKS)

    def loss(x):
        return sum(jnp.sum((leaf - 1) ** 2) for leaf in jax.tree.leaves(x))

    @jax.jit
    def run():
        def step(carry, _):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=loss)
            return (optax.apply_updates(x, updates), state), None

        return jax.lax.scan(step, (x, tx.init(x)), length=300)[0]

    end, state = run()
    for name in x:
        assert 100 * jnp.sum((end[name] - 1) ** 2) < jnp.sum((x[name] - 1) ** 2)
    assert optax.tree.get(state, "num_evaluations") == 600


LAYERS, WIDTH = 3, 4
OPT_CONFIG = OPTConfig(
    vocab_size=16,
    hidden_size=WIDTH,
    ffn_dim=8,
    num_hidden_layers=LAYERS,
    num_attention_heads=2,
    max_position_embeddings=8,
)


def words_drawn(method, params, loss, sampler, steps):
    """Random words of each of the first steps, reported by the compiled program as it runs."""
    tally = Tally()
    tx = method(1e-3, jax.random.key(0), sampler=tally.counting(sampler))

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def step(params, state):
        updates, state = tx.update(None, state, params, value_fn=loss)
        return optax.apply_updates(params, updates), state

    state, counts = tx.init(params), [0]
    for _ in range(steps):
        params, state = step(params, state)
        jax.block_until_ready(params)
        counts.append(tally.words)
    return np.diff(counts).tolist()


def words(*shape):
    """Of a leaf, or of a layer: two for each column of a group of 8 rows, or of a row by itself."""
    rows = math.prod(shape[:-1])
    groups = -(-rows // 8)
    return 2 * (groups if groups < rows else rows) * shape[-1]


def test_noise_is_drawn_for_the_active_block_alone(monkeypatch):
    """Each word of a leaf twice: for the pair of points, and for the update.

    Of the token table two rows are looked up and all are in the head; of the positions, two rows
    are looked up. An order of five blocks evaluates what MeZO evaluates in one step, and updates
    one layer of a stack at a time.
    """
    # Else all leaves of so small a model are drawn together, whatever is looked up.
    monkeypatch.setattr(_thresholds, "SMALL_LEAVES_SHARE", 0)
    monkeypatch.setattr(_thresholds, "LEAST_SMALL_LEAVES", 0)
    graphdef, params = nnx.split(OPT(OPT_CONFIG, rngs=nnx.Rngs(0)), nnx.Param)
    tokens = jnp.array([[3, 5]])

    def loss(params):
        return nnx.merge(graphdef, params)(tokens)[0, 0, 7]

    stacks = [leaf.shape for leaf in jax.tree.leaves(params["layers"])]
    layer = sum(words(*shape[1:]) for shape in stacks)
    norm = 2 * words(WIDTH)  # scale and bias
    row = words(WIDTH)
    evaluated = norm + 2 * 2 * row + words(16, WIDTH)
    updated = norm + words(16, WIDTH) + words(10, WIDTH)
    expected = LAYERS * layer + evaluated + sum(words(*shape) for shape in stacks) + updated
    assert words_drawn(zojax.mezo, params, loss, zojax.gaussian(), 2) == [expected] * 2
    method = functools.partial(zojax.mezo_bcd, order="cyclic")
    drawn = words_drawn(method, params, loss, zojax.gaussian(), 5)
    tables = evaluated + updated - 2 * norm
    assert sorted(drawn) == sorted([2 * layer] * LAYERS + [2 * norm, tables])


def test_a_step_holds_no_update_of_the_size_of_params():
    """By the compiler's account: beside the donated params, less than three layers of twelve."""
    config = dataclasses.replace(
        OPT_CONFIG, hidden_size=128, word_embed_proj_dim=128, ffn_dim=512, num_hidden_layers=12
    )
    graphdef, params = nnx.split(nnx.eval_shape(lambda: OPT(config, rngs=nnx.Rngs(0))), nnx.Param)
    tx = zojax.mezo_bcd(1e-3, jax.random.key(0), sampler=zojax.rademacher())

    def step(params, state):
        def loss(params):
            return nnx.merge(graphdef, params)(jnp.zeros((1, 2), jnp.int32)).mean()

        updates, state = tx.update(None, state, params, value_fn=loss)
        return optax.apply_updates(params, updates), state

    state = jax.eval_shape(tx.init, params)
    memory = (
        jax.jit(step, donate_argnums=(0, 1))
        .lower(params, state)
        .compile(BUFFERS_AS_USERS_HAVE)
        .memory_analysis()
    )
    layer = sum(4 * leaf.size for leaf in jax.tree.leaves(params["layers"])) / 12
    assert memory.alias_size_in_bytes >= 12 * layer
    assert memory.temp_size_in_bytes < 3 * layer, memory.temp_size_in_bytes / layer


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"radius": 0.0}, ValueError, r"radius must be a finite number above 0, got 0.0"),
        ({"num_queries": 0}, ValueError, r"num_queries must be an integer of at least 1, got 0"),
        ({"weight_decay": -0.1}, ValueError, r"weight_decay must be a finite number of at least 0"),
        ({"hold": 0}, ValueError, r"hold must be an integer of at least 1, got 0"),
        ({"order": "shuffled"}, ValueError, r"order must be one of cyclic, .* got 'shuffled'"),
        ({"key": 0}, TypeError, r"key must be a typed key"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_out_of_range_are_refused(arguments, error, message, key):
    with pytest.raises(error, match=message):
        zojax.mezo_bcd(0.1, **{"key": key, **arguments})
