"""AR1-ZO is the algorithm: it measures and moves one atom at a time, and nothing else."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adapter_problems import RANKS, adapter, curved, drawn, products, trajectory
from flax import nnx

import zojax
from tests.reference.ar1_zo import ar1_zo as reference
from zojax import lora
from zojax.models import OPT, OPTConfig


def moved(path):
    """For every step which columns of A and rows of B changed: {layer: (steps, rank) twice}."""
    changed = {}
    for name, layer in path.items():
        a, b = (np.diff(np.asarray(layer[factor]), axis=0) != 0 for factor in layer)
        changed[name] = a.any(axis=-2), b.any(axis=-1)
    return changed


@pytest.mark.parametrize(
    ("options", "adam", "ranks"),
    [
        ({}, None, RANKS),
        ({}, (0.8, 0.9, 1e-8), {"k": 2, "v": 2}),
        ({"schedule": "random"}, None, RANKS),
        ({"layers": "one"}, None, RANKS),
    ],
    ids=["cyclic", "adam", "random", "one layer"],
)
def test_seven_steps_equal_the_loop(options, adam, ranks, key, x64):
    """Fed the same p and q; ranks 2 and 3 meet again after 6 steps. With Adam, one for each atom.

    rtol: rounding of float64 losses divided by the radius.
    """
    x = adapter(ranks)
    inner = optax.scale_by_adam(*adam) if adam else None
    path, slopes = trajectory(zojax.ar1_zo(0.05, key, inner=inner, **options), x, curved, 7)
    z = drawn(key, x, 7, **options)
    turns, directions = [], []
    for step in range(7):
        pairs = [(layer["lora_a"][step], layer["lora_b"][step]) for layer in z.values()]
        active = [np.flatnonzero(a.any(axis=0)) for a, _ in pairs]
        turns.append([atoms[0] if atoms.size else None for atoms in active])
        directions.append([(a.sum(axis=1), b.sum(axis=0)) for a, b in pairs])
    if not options:
        assert turns == [[step % rank for rank in ranks.values()] for step in range(7)]
    end, expected = reference(
        lambda layers: curved(
            {n: {"lora_a": a, "lora_b": b} for n, (a, b) in zip(x, layers, strict=True)}, np
        ),
        [(layer["lora_a"], layer["lora_b"]) for layer in x.values()],
        directions,
        turns,
        learning_rate=0.05,
        radius=1e-2,
        adam=adam,
    )
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-7)
    for layer, (a, b) in zip(path.values(), end, strict=True):
        np.testing.assert_allclose(layer["lora_a"][-1], a, rtol=1e-6)
        np.testing.assert_allclose(layer["lora_b"][-1], b, rtol=1e-6)


@pytest.mark.parametrize("inner", [None, "all of it"])
def test_only_the_active_atom_changes(inner, key):
    """Bit by bit, with Adam and weight decay too; r steps visit each atom once, of each layer."""
    if inner:
        inner = optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(0.1))
    path, _ = trajectory(zojax.ar1_zo(0.01, key, inner=inner), adapter(dtype="f"), curved, 6)
    for name, factors in moved(path).items():
        turns = np.arange(6)[:, None] % RANKS[name] == np.arange(RANKS[name])
        for changed in factors:
            np.testing.assert_array_equal(changed, turns)


def test_one_layer_at_a_time_visits_every_atom_of_every_layer_once(key):
    """A list of layers and a stack of two: 2 + 3 + 2 · 2 atoms, no two in one step."""
    x = adapter(dtype="f")
    x["stack"] = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), x["k"])

    def loss(x):
        return curved({n: x[n] for n in "kv"}) + jnp.sum(jnp.sin(products(x)["stack"]))

    path, _ = trajectory(zojax.ar1_zo(0.01, key, layers="one"), x, loss, 9)
    atoms = []
    for a, b in moved(path).values():
        np.testing.assert_array_equal(a, b)
        atoms.append(a.reshape(9, -1))
    np.testing.assert_array_equal(np.concatenate(atoms, axis=1), np.eye(9, dtype=bool))


def test_a_stack_of_layers_moves_the_same_atom_in_each(key):
    """And with the directions that its layers have anyway, all different."""
    x = {"k": jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), adapter(dtype="f")["k"])}
    loss = lambda x: jnp.sum(jnp.sin(products(x)["k"]))  # noqa: E731
    path, _ = trajectory(zojax.ar1_zo(0.01, key), x, loss, 2)
    for changed in moved(path)["k"]:
        np.testing.assert_array_equal(changed, np.eye(2, dtype=bool)[:, None].repeat(3, axis=1))
    first = np.diff(path["k"]["lora_a"], axis=0)[0, :, :, 0]
    assert len(np.unique(first)) == first.size


@pytest.mark.parametrize("layers", ["all", "one"])
def test_an_adapted_model_is_measured_where_its_atom_is_moved(layers, key):
    """OPT with a scanned stack of layers: the slope is that between two models with dense weights.

    atol: rounding of losses around 3 divided by the radius.
    """
    config = OPTConfig(
        vocab_size=16,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=16,
        max_position_embeddings=8,
        init_std=0.3,
    )
    adapted = nnx.jit(
        lambda: lora.adapt(
            OPT(config, rngs=nnx.Rngs(0)), ["q_proj", "v_proj"], rank=2, scale=2.0, key=key
        )
    )
    model = adapted()
    graphdef, x, frozen = nnx.split(model, nnx.LoRAParam, ...)
    x = jax.tree.map(lambda leaf: leaf + 0.3, x)
    ids = jnp.array([[1, 2, 3, 4]])

    def loss(x, frozen):
        logits = nnx.merge(graphdef, x, frozen)(ids)
        return -jnp.mean(jax.nn.log_softmax(logits)[..., 5])

    tx = zojax.ar1_zo(1.0, key, radius=0.1, layers=layers)
    updates, state = jax.jit(
        lambda x: tx.update(None, tx.init(x), x, value_fn=loss, frozen=frozen)
    )(x)
    slope = optax.tree.get(state, "coefficients")[0]
    z = jax.tree.map(lambda leaf: leaf[0], drawn(key, x, 1, layers=layers))
    there = jax.jit(lambda r: loss(jax.tree.map(lambda x, z: x + r * z, x, z), frozen))
    above, below = there(0.1), there(-0.1)
    np.testing.assert_allclose(slope, (above - below) / 0.2, atol=1e-5)
    chex.assert_trees_all_close(updates, jax.tree.map(lambda z: -slope * z, z), rtol=1e-5)
    atoms = {"all": 2 * 2, "one": 1}[layers]
    assert sum(int(jnp.count_nonzero(leaf)) for leaf in jax.tree.leaves(updates)) == atoms * (8 + 8)


def test_random_atoms_are_uniform_and_independent(key):
    """Counts of 4000 turns among 4 atoms, and of pairs of turns, within 5 standard deviations."""
    x = {"lora_a": jnp.zeros((2, 4)), "lora_b": jnp.zeros((4, 2))}
    sampler = zojax.blocks(zojax.gaussian(), zojax.atom_labels(), order="random")

    @jax.jit
    @jax.vmap
    def turn(step):
        return sampler.draw(sampler.init(x), key, step, 1, x)[1].block

    turns = np.asarray(turn(jnp.arange(4000)))
    for numbers, count in ((turns, 4), (4 * turns[::2] + turns[1::2], 16)):
        found = np.bincount(numbers, minlength=count)
        expected = len(numbers) / count
        assert (np.abs(found - expected) < 5 * np.sqrt(expected)).all()


def test_an_adapter_of_rank_1_is_mezos(key):
    """The directions bit by bit, five steps but for the rounding of two programs."""
    x = adapter({"k": 1, "v": 1}, "f")

    @jax.jit
    @jax.vmap
    def theirs(step):
        one = jax.tree.map(lambda array: array[0], zojax.gaussian().recall(key, step, 1, x))
        return zojax.materialize(one, x)

    chex.assert_trees_all_equal(drawn(key, x, 5), theirs(jnp.arange(5)))
    methods = zojax.ar1_zo(0.01, key), zojax.mezo(0.01, key, radius=1e-2)
    ours, mezos = (trajectory(tx, x, curved, 5) for tx in methods)
    chex.assert_trees_all_close(ours, mezos, rtol=1e-4)


def test_a_loss_that_is_not_finite_changes_nothing_but_the_turn(key):
    """Neither params, by the weight decay, nor the moments; then it is the next atom's turn."""
    x = adapter({"k": 2}, "f")
    inner = optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(0.1))
    tx = zojax.ar1_zo(0.01, key, inner=inner)

    @jax.jit
    def step(state, offset):
        return tx.update(None, state, x, value_fn=lambda x: curved(x) + offset)

    start = tx.init(x)
    updates, state = step(start, jnp.nan)
    assert not any(leaf.any() for leaf in jax.tree.leaves(updates))
    for before, after in zip(*(optax.tree.get_all_with_path(s, "mu") for s in (start, state))):  # noqa: B905
        chex.assert_trees_all_equal(before[1], after[1])
    updates, state = step(state, 0.0)
    assert (updates["k"]["lora_a"] != 0).tolist() == [[False, True]] * 4
    assert optax.tree.get(state, "num_nonfinite") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, "radius must be a finite number above 0, got 0.0"),
        ({"schedule": "permutation"}, "schedule must be one of cyclic, random, got 'permutation'"),
        ({"layers": "some"}, "layers must be one of all, one, got 'some'"),
    ],
)
def test_other_arguments_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.ar1_zo(0.1, key, **arguments)


def test_params_that_are_no_adapter_are_refused(key):
    with pytest.raises(ValueError, match=r"params\['w'\] of shape \(2, 3\) is no factor"):
        zojax.ar1_zo(0.1, key).init({"w": jnp.zeros((2, 3))})
    kept = zojax.factored(1, left_period=2)
    with pytest.raises(ValueError, match="needs a sampler without state"):
        zojax.ar1_zo(0.1, key, sampler=kept).init(adapter())
