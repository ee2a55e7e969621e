"""A prefix is keys and values of tokens before the sequence."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import zojax
from zojax import prefix
from zojax.models import OPT, OPTConfig

CONFIG = OPTConfig(
    vocab_size=32,
    hidden_size=8,
    num_hidden_layers=3,
    ffn_dim=16,
    num_attention_heads=2,
    max_position_embeddings=16,
)
START = [4, 5, 9]
IDS = jnp.array([[0, 6, 7, 8], [10, 11, 12, 13]])
MASK = jnp.array([[0, 1, 1, 1], [1, 1, 1, 1]])
call = nnx.jit(lambda model, ids, mask=None: model(ids, mask))


@pytest.fixture(scope="module")
def model():
    """With weights large enough that attention is not uniform."""
    model = OPT(CONFIG, rngs=nnx.Rngs(0))
    nnx.update(model, jax.tree.map(lambda leaf: 8 * leaf, nnx.state(model, nnx.Param)))
    return model


@pytest.fixture(scope="module")
def adapted(model):
    return prefix.adapt(model, tokens=START)


@pytest.mark.parametrize("padded", [False, True])
def test_a_new_prefix_stands_for_its_tokens(model, adapted, padded):
    mask = MASK if padded else jnp.ones_like(MASK)
    before = jnp.broadcast_to(jnp.array(START), (2, 3))
    expected = call(
        model,
        jnp.concatenate([before, IDS], 1),
        jnp.concatenate([jnp.ones_like(before), mask], 1),
    )
    got = call(adapted, IDS, mask)
    # Logits of up to 10, which changing all weights by 3e-7 moves by 4e-5; the order of sums
    # differs between processors.
    np.testing.assert_allclose(
        jnp.where(mask[..., None], got, 0),
        jnp.where(mask[..., None], expected[:, 3:], 0),
        atol=3e-4,
    )
    assert np.abs(got - call(model, IDS, mask)).max() > 0.1


def test_a_key_draws_the_tokens_it_starts_from(model, key):
    drawn = jax.random.randint(key, (1, 5), 0, CONFIG.vocab_size)
    got, expected = prefix.adapt(model, key=key), prefix.adapt(model, tokens=list(drawn[0]))
    for name in ("past_key", "past_value"):
        leaf = getattr(got.layers.self_attn.prefix, name)
        assert leaf.shape == (3, 5, 2, 4)
        np.testing.assert_array_equal(leaf, getattr(expected.layers.self_attn.prefix, name))


def test_only_the_prefix_is_trained(model, key):
    """It learns; what is frozen is the model that was given, not copies of its arrays."""
    weights = nnx.split(model, nnx.Param)[1]
    adapted = prefix.adapt(model, tokens=START)
    graphdef, trained, frozen = nnx.split(adapted, prefix.PrefixParam, ...)
    shared = zip(jax.tree.leaves(frozen), jax.tree.leaves(weights), strict=True)
    assert all(ours is theirs for ours, theirs in shared)
    assert [leaf.shape for leaf in jax.tree.leaves(trained)] == 2 * [(3, 3, 2, 4)]

    def loss(trained, frozen):
        logits = nnx.merge(graphdef, trained, frozen)(IDS)[:, -1]
        return -jax.nn.log_softmax(logits)[:, 3].mean()

    tx = zojax.mezo(0.05, key, radius=0.05, num_queries=4)

    @jax.jit
    def train(trained, frozen):
        def step(carry, _):
            trained, state = carry
            updates, state = tx.update(None, state, trained, value_fn=loss, frozen=frozen)
            return (optax.apply_updates(trained, updates), state), None

        (end, _), _ = jax.lax.scan(step, (trained, tx.init(trained)), length=400)
        return loss(trained, frozen), loss(end, frozen)

    before, after = train(trained, frozen)
    assert after < 0.8 * before


def test_the_given_model_stays_as_it_is(model, adapted):
    assert model.layers.self_attn.prefix is None
    assert isinstance(adapted.layers.self_attn.prefix, prefix.Prefix)


def test_a_prefix_can_be_removed(model, adapted):
    np.testing.assert_array_equal(call(prefix.remove(adapted), IDS), call(model, IDS))
    assert isinstance(adapted.layers.self_attn.prefix, prefix.Prefix)
    with pytest.raises(ValueError, match="has no prefix"):
        prefix.remove(model)


def test_peft_files_come_back(model, adapted, tmp_path):
    prefix.save_peft(adapted, tmp_path, base_model="some/model")
    back = prefix.load_peft(model, tmp_path)
    np.testing.assert_array_equal(call(back, IDS), call(adapted, IDS))


def test_a_model_with_a_prefix_is_not_saved_as_a_model(adapted, tmp_path):
    with pytest.raises(ValueError, match=r"has a prefix.*save the model that was adapted"):
        adapted.save_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give key to draw them, or tokens"),
        ({"tokens": []}, "tokens must be a list of ids from 0 to 31"),
        ({"tokens": [32]}, "tokens must be a list of ids from 0 to 31"),
        ({"length": 0, "key": jax.random.key(0)}, "length must be an integer of at least 1, got 0"),
        ({"length": 16, "key": jax.random.key(0)}, "length 16 leaves no position for a sequence"),
    ],
)
def test_bad_arguments_are_named(model, options, message):
    with pytest.raises(ValueError, match=message):
        prefix.adapt(model, **options)


def test_errors_say_what_to_do(model, adapted, tmp_path):
    with pytest.raises(ValueError, match="already has a prefix"):
        prefix.adapt(adapted, tokens=START)
    with pytest.raises(ValueError, match="has no prefix; give it one with"):
        prefix.save_peft(model, tmp_path)
    with pytest.raises(TypeError, match="Linear has 0 stacks of attention"):
        prefix.adapt(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), tokens=START)
    with pytest.raises(FileNotFoundError, match=r"has no adapter_config\.json"):
        prefix.load_peft(model, tmp_path)
    prefix.save_peft(adapted, tmp_path)
    other = OPT(OPTConfig(**(vars(CONFIG) | {"num_hidden_layers": 2})), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"a prefix of shape \(3, 48\); for OPT with 2 layers"):
        prefix.load_peft(other, tmp_path)
