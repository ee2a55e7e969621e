"""Generation is the plain loop that runs the whole model for every token."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from stored_checkpoints import FIXTURES

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from zojax import prefix
from zojax.models import OPT, OPTConfig, from_pretrained, generate

IDS = np.array([[0, 0, 5, 6, 7], [8, 9, 10, 11, 12]])
MASK = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
NEW = 6


@pytest.fixture(scope="module")
def model():
    return from_pretrained(FIXTURES / "pre_norm")


@pytest.fixture(scope="module")
def greedy(model):
    return run(model)


def run(model, ids=IDS, mask=MASK, **options):
    options = {"max_new_tokens": NEW, "stop": ()} | options
    return np.asarray(nnx.jit(lambda model: generate(model, ids, mask, **options))(model))


def plain(model, ids, mask, count):
    """The whole sequence anew for every token, of one length so that there is one program."""
    call = nnx.jit(lambda model, ids, mask: model(ids, mask))
    length = ids.shape[1]
    ids, mask = (np.pad(array, ((0, 0), (0, count))) for array in (ids, mask))
    for place in range(length, length + count):
        ids[:, place] = np.argmax(call(model, ids, mask)[:, place - 1], -1)
        mask[:, place] = 1
    return ids[:, length:]


def test_greedy_tokens_are_those_of_the_plain_loop(model, greedy):
    np.testing.assert_array_equal(greedy, plain(model, IDS, MASK, NEW))
    assert len(np.unique(greedy)) > 2


def test_a_row_ends_with_its_stop_token_and_is_padded(model, greedy):
    stop = int(greedy[0, 1])
    tokens = run(model, stop=[stop], pad_token_id=39)
    for row, free in zip(tokens, greedy, strict=True):
        ended = list(free).index(stop) if stop in free else NEW - 1
        np.testing.assert_array_equal(row[: ended + 1], free[: ended + 1])
        np.testing.assert_array_equal(row[ended + 1 :], 39)


def test_a_prefix_is_tokens_before_the_sequence(model):
    start = [21, 22]
    tokens = run(prefix.adapt(model, tokens=start), IDS[1:], MASK[1:], max_new_tokens=4)
    ids = np.concatenate([[start], IDS[1:]], 1)
    np.testing.assert_array_equal(tokens, plain(model, ids, np.ones_like(ids), 4))


def test_samples_come_from_the_distribution_that_is_left(model, key):
    """The law of the first token, counted over keys: top_k and then top_p, at a temperature."""
    logits = np.asarray(model(IDS, MASK), np.float64)[:, -1]
    options = {"max_new_tokens": 1, "temperature": 2.0, "top_k": 5, "top_p": 0.7, "stop": ()}

    @jax.jit
    def draw(keys):
        return jax.vmap(lambda key: generate(model, IDS, MASK, key=key, **options))(keys)

    draws = np.asarray(draw(jax.random.split(key, 4000)))[:, :, 0]
    for row in range(2):
        expected = _law(logits[row] / 2.0, 5, 0.7)
        counted = np.bincount(draws[:, row], minlength=len(expected)) / len(draws)
        assert set(np.flatnonzero(counted)) <= set(np.flatnonzero(expected))
        np.testing.assert_allclose(counted, expected, atol=4.5 * 0.5 / np.sqrt(len(draws)))


def _law(logits, count, probability):
    order = np.argsort(-logits)[:count]
    chances = np.exp(logits[order] - logits[order[0]])
    chances /= chances.sum()
    reached = next(n for n in itertools.count(1) if chances[:n].sum() >= probability)
    law = np.zeros(len(logits))
    law[order[:reached]] = chances[:reached] / chances[:reached].sum()
    return law


def test_it_runs_under_perturbation(model, key):
    """The tokens at x ± εz, with the perturbed weights never formed, are those of x ± εz."""
    graphdef, params = nnx.split(model, nnx.Param)
    sampler, radius = zojax.gaussian(), 0.05

    def tokens(params):
        return generate(nnx.merge(graphdef, params), IDS, MASK, max_new_tokens=3, stop=())

    def total(params):
        return jnp.sum(tokens(params).astype(jnp.float32) * jnp.arange(1, 4))

    @jax.jit
    def both(params):
        directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(0), 1, params)
        lazy = zojax.evaluate(total, params, directions, jnp.array([radius, -radius]))
        z = zojax.materialize(jax.tree.map(lambda a: a[0], directions), params)
        steps = (optax.tree.scale(step, z) for step in (radius, -radius))
        moved = [total(optax.apply_updates(params, step)) for step in steps]
        return lazy.reshape(-1), jnp.stack(moved)

    lazy, moved = both(params)
    np.testing.assert_array_equal(lazy, moved)
    assert lazy[0] != lazy[1]


def test_keys_and_values_exist_once(key):
    """Beside them a program has those of one layer, also of four perturbed models side by side."""
    config = OPTConfig(
        vocab_size=64,
        hidden_size=64,
        ffn_dim=64,
        num_hidden_layers=8,
        num_attention_heads=2,
        max_position_embeddings=256,
    )
    graphdef, params = nnx.split(nnx.eval_shape(lambda: OPT(config, rngs=nnx.Rngs(0))), nnx.Param)

    def write(params, prompts):
        return generate(nnx.merge(graphdef, params), prompts, max_new_tokens=248, stop=())

    def population(params, prompts):
        sampler = zojax.factored(1)
        directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(0), 4, params)

        def value_fn(params):
            return jnp.float32(0), write(params, prompts)

        return zojax.evaluate(value_fn, params, directions, 1e-3, chunk_size=4, has_aux=True)[1]

    keys_and_values = 2 * 8 * 16 * 256 * 64 * 4
    for program, rows in ((write, 16), (population, 4)):
        prompts = jax.ShapeDtypeStruct((rows, 8), jnp.int32)
        made = jax.jit(program).lower(params, prompts).compile(BUFFERS_AS_USERS_HAVE)
        held = made.memory_analysis().temp_size_in_bytes
        assert keys_and_values < held < 1.4 * keys_and_values


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be an integer of at least 1, got 0"),
        ({"max_new_tokens": 8}, "max_new_tokens 8 after 5 tokens is beyond max_position_embed"),
        ({"temperature": 0.0}, "temperature must be a finite number above 0, got 0.0"),
        ({"top_k": 0}, "top_k must be an integer of at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be a number above 0 and at most 1, got 0.0"),
        ({"mask": MASK[:, ::-1]}, "attention_mask ends in 0; sequences go on at their end"),
    ],
)
def test_bad_arguments_are_named(model, options, message):
    with pytest.raises(ValueError, match=message):
        run(model, **options)


def test_a_classifier_generates_no_text():
    config = OPTConfig(
        vocab_size=8, hidden_size=4, num_hidden_layers=1, ffn_dim=4, num_attention_heads=1
    )
    model = OPT(config, head="classifier", rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="OPT with head 'classifier' generates no text"):
        generate(model, IDS, max_new_tokens=1)
