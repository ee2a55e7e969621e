"""The largest chunk of directions that fits into a budget of memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax import training
from zojax.training import ChunkChoice, choose_chunk_size, make_step, peak_bytes

NUM_QUERIES = 4
SIZES = (1, 2, 4)
BATCH = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)


def loss(params, batch):
    return jnp.mean((jnp.tanh(batch @ params["in"]) @ params["out"] - batch[:, :1]) ** 2)


def start():
    first, last = jax.random.split(jax.random.key(1))
    return {"in": jax.random.normal(first, (8, 32)), "out": jax.random.normal(last, (32, 1))}


def step_of(chunk_size):
    tx = zojax.mezo(
        0.05,
        jax.random.key(0),
        radius=0.1,
        num_queries=NUM_QUERIES,
        sampler=zojax.factored(1),
        chunk_size=chunk_size,
    )
    return tx, make_step(tx, loss)


def lowered(chunk_size):
    tx, step = step_of(chunk_size)
    params = jax.eval_shape(start)
    batch = jax.ShapeDtypeStruct(BATCH.shape, BATCH.dtype)
    return step.lower(params, jax.eval_shape(tx.init, params), batch=batch)


@pytest.fixture(scope="module")
def programs():
    """Chunk size -> the compiled step, for every size that is a candidate."""
    return {size: lowered(size).compile() for size in SIZES}


@pytest.fixture(scope="module")
def peaks(programs):
    return {size: peak_bytes(program) for size, program in programs.items()}


def test_the_peak_grows_with_the_chunk(peaks):
    assert list(peaks.values()) == sorted(set(peaks.values()))
    # Both points of every direction of a chunk hold 32 numbers for each of 64 rows.
    assert peaks[4] - peaks[1] >= 3 * 2 * 64 * 32 * 4


def test_every_budget_gets_the_largest_chunk_that_fits(programs, peaks):
    """Beside the compiled programs of all sizes, at and just below each peak."""
    for budget in [peak + more for peak in peaks.values() for more in (0, -1)][:1:-1]:
        choice = choose_chunk_size(programs.__getitem__, NUM_QUERIES, budget)
        assert choice.chunk_size == max(size for size in SIZES if peaks[size] <= budget)
        assert choice.peak_bytes == peaks[choice.chunk_size] <= choice.budget_bytes == budget
        assert set(choice.tried) <= set(peaks.items())


def test_chunks_change_nothing_but_roundings(programs):
    """Three steps from losses of size 30, whose roundings are divided by the radius."""
    ends = []
    for size, program in programs.items():
        params = start()
        state = jax.jit(step_of(size)[0].init)(params)
        for _ in range(3):
            params, state, measured = program(params, state, batch=BATCH)
        ends.append((params, measured))
    for end in ends[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-4), end, ends[0])
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), ends[0][0], start())
    assert min(jax.tree.leaves(moved)) > 1e-2


class Program(jax.stages.Compiled):
    """Of so many bytes."""

    def __init__(self, size):
        self.size = size

    def memory_analysis(self):
        fields = ("argument", "output", "alias", "temp")
        sizes = {f"{name}_size_in_bytes": 0 for name in fields} | {"temp_size_in_bytes": self.size}
        return type("Memory", (), sizes)


@pytest.mark.parametrize(
    ("num_queries", "budget", "tried", "chunk_size"),
    [
        (1, 100, [1], 1),
        (2, 199, [1, 2], 1),
        (10, 400, [1, 2, 5], 2),
        (7, 600, [1, 7], 1),
        (64, 1700, [1, 8, 16, 32], 16),
        (64, 100, [1, 2, 8], 1),
        (64, 10**6, [1, 8, 32, 64], 64),
    ],
)
def test_few_programs_are_compiled(num_queries, budget, tried, chunk_size):
    """A chunk of n needs 100 n bytes."""
    asked = []

    def program_for(size):
        asked.append(size)
        return Program(100 * size)

    choice = choose_chunk_size(program_for, num_queries, budget)
    assert choice.chunk_size == chunk_size
    assert sorted(asked) == [size for size, _ in choice.tried] == tried


def test_a_budget_that_is_too_small_for_one_names_both_and_the_remedy():
    message = r"budget_bytes 99 .* chunk_size=1 a step needs 100 bytes; take a smaller batch, fewer"
    with pytest.raises(ValueError, match=message):
        choose_chunk_size(lambda size: Program(100 * size), 4, 99)
    with pytest.raises(ValueError, match="num_queries must be an integer of at least 1, got 0"):
        choose_chunk_size(lambda size: Program(100 * size), 0, 99)


@pytest.mark.parametrize(
    ("offered", "budget"), [(None, 1050), ({}, 1050), ({"bytes_limit": 5000}, 4500)]
)
def test_the_budget_is_the_device_s_or_little_above_one_at_a_time(offered, budget, monkeypatch):
    class Device:
        def memory_stats(self):
            return offered

    monkeypatch.setattr(training._chunks.jax, "local_devices", lambda: [Device()])
    choice = choose_chunk_size(lambda size: Program(975 + 25 * size), 64)
    assert choice.budget_bytes == budget
    assert choice.chunk_size == {1050: 2, 4500: 64}[budget]


def test_a_choice_says_what_it_was_chosen_from():
    choice = ChunkChoice(4, 10, 1_500_000, 1_600_000, ((1, 10**6), (4, 1_500_000), (8, 2 * 10**6)))
    assert str(choice) == (
        "chunk_size 4 of 10: peak 1.5 MB, 1.50 x that of 1; budget 1.6 MB; "
        "tried 1: 1.0 MB, 4: 1.5 MB, 8: 2.0 MB"
    )
