"""AR1-ZO measures and moves one atom at a time, and what the scale does to its signal."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import zojax
from tests.reference.ar1_zo import ar1_zo as reference
from zojax import lora
from zojax.models import OPT, OPTConfig

SIDES = {"k": (4, 3), "v": (2, 5)}
RANKS = {"k": 2, "v": 3}
GRADIENTS = {
    name: np.random.default_rng(seed).normal(size=sides)
    for seed, (name, sides) in enumerate(SIDES.items(), 5)
}


def adapter(ranks=RANKS, dtype=float, seed=0):
    """Factors of two layers, none of them zero."""
    rng = np.random.default_rng(seed)
    return {
        name: {
            "lora_a": jnp.array(rng.normal(size=(SIDES[name][0], rank)), dtype),
            "lora_b": jnp.array(rng.normal(size=(rank, SIDES[name][1])), dtype),
        }
        for name, rank in ranks.items()
    }


def products(x):
    return {name: layer["lora_a"] @ layer["lora_b"] for name, layer in x.items()}


def curved(x, numbers=jnp):
    """A logistic loss of the entries of both products."""
    return sum(
        numbers.mean(numbers.log1p(numbers.exp(-3 * GRADIENTS[name] * w)))
        for name, w in products(x).items()
    )


def linear(x, scale=1.0):
    """f linear in W with G = GRADIENTS; each loss starts from a base as that of a model does."""
    return 0.3 + scale * sum(jnp.sum(GRADIENTS[name] * w) for name, w in products(x).items())


def trajectory(tx, x, loss, steps, **extra):
    """The params before every step and after the last, stacked, and the slopes."""

    @jax.jit
    def run(x):
        def step(carry, _):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=loss, **extra)
            x = optax.apply_updates(x, updates)
            return (x, state), (x, optax.tree.get(state, "coefficients")[0])

        _, (path, slopes) = jax.lax.scan(step, (x, tx.init(x)), length=steps)
        return jax.tree.map(
            lambda first, rest: jnp.concatenate([first[None], rest]), x, path
        ), slopes

    return run(x)


def moved(path):
    """For every step which columns of A and rows of B changed: {layer: (steps, rank) twice}."""
    changed = {}
    for name, layer in path.items():
        a, b = (np.diff(np.asarray(layer[factor]), axis=0) != 0 for factor in layer)
        changed[name] = a.any(axis=-2), b.any(axis=-1)
    return changed


def drawn(key, x, steps, **options):
    """What the method draws, dense, stacked over steps."""
    labels = zojax.atom_labels(layers=options.pop("layers", "all"))
    sampler = zojax.blocks(zojax.gaussian(), labels, order=options.pop("schedule", "cyclic"))

    @jax.jit
    @jax.vmap
    def dense(step):
        one = jax.tree.map(lambda array: array[0], sampler.recall(key, step, 1, x))
        return zojax.materialize(one, x)

    return jax.tree.map(np.asarray, dense(jnp.arange(steps)))


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


def test_slopes_of_a_loss_linear_in_the_weights_are_exact(key, x64):
    """δ = s Σ_l (pᵀ G b + aᵀ G q) at every radius, so N(0, τ²) with τ of the card's (6)."""
    x, s = adapter(), 0.7

    def slopes(radius):
        return trajectory(zojax.ar1_zo(0.0, key, radius=radius), x, linear, 6, scale=s)[1]

    found = jax.vmap(slopes)(jnp.array([1e-2, 1.0, 30.0]))
    z = drawn(key, x, 6)
    gradient = jax.grad(linear)(x, s)
    for step in range(6):
        now = jax.tree.map(lambda leaf, step=step: leaf[step], z)
        np.testing.assert_allclose(found[:, step], optax.tree.vdot(gradient, now), rtol=2e-7)
        active = jax.tree.map(lambda g, z: jnp.where(z != 0, g, 0), gradient, now)
        tau_squared = 0.0
        for name, layer in x.items():
            g, i = GRADIENTS[name], step % RANKS[name]
            a, b = layer["lora_a"][:, i], layer["lora_b"][i]
            tau_squared += s**2 * (np.sum((g @ b) ** 2) + np.sum((g.T @ a) ** 2))
        np.testing.assert_allclose(optax.tree.norm(active) ** 2, tau_squared, rtol=1e-12)


def test_the_signal_of_an_atom_depends_on_the_rank_only_through_the_scale(key, x64):
    """An atom embedded in adapters of ranks 1...64: constant under s = α, 1/r under s = α/r.

    Its directions are the same at every rank, so are its slopes.
    """
    atom, tx = adapter({"k": 1}, seed=1), zojax.ar1_zo(0.0, key)

    def slope(rank, scale):
        rest = adapter({"k": rank})
        x = {
            "lora_a": rest["k"]["lora_a"].at[:, :1].set(atom["k"]["lora_a"]),
            "lora_b": rest["k"]["lora_b"].at[:1].set(atom["k"]["lora_b"]),
        }
        return trajectory(tx, {"k": x}, linear, 1, scale=scale)[1][0]

    ranks = np.array([1, 4, 16, 64])
    slopes = np.array(
        [
            jax.vmap(lambda scale, r=r: slope(int(r), scale))(jnp.array([2.0, 2.0 / r]))
            for r in ranks
        ]
    )
    np.testing.assert_allclose(slopes[:, 0], slopes[0, 0], rtol=1e-6)
    np.testing.assert_allclose(slopes[:, 1], slopes[0, 1] / ranks, rtol=1e-6)


def test_at_the_start_of_an_adapter_a_is_moved_by_noise_alone(key, x64):
    """With B = 0 the slope is q · ∂f/∂b, whatever p is; and a moves by -η δ p."""
    x = adapter({"k": 2})
    x["k"]["lora_b"] = jnp.zeros_like(x["k"]["lora_b"])
    path, slopes = trajectory(zojax.ar1_zo(0.1, key), x, linear, 1)
    a, b = (np.diff(path["k"][factor], axis=0)[0] for factor in ("lora_a", "lora_b"))
    p, q = a[:, 0] / (-0.1 * slopes[0]), b[0] / (-0.1 * slopes[0])
    gradient = x["k"]["lora_a"][:, 0] @ GRADIENTS["k"]
    np.testing.assert_allclose(slopes[0], q @ gradient, rtol=1e-6)
    assert (np.abs(p) > 1e-3).all()


def test_the_mean_change_of_the_product_has_the_scale_squared(x64):
    """-η s² (a aᵀ G + G b bᵀ) to first order in η: over 20000 keys, within 5 standard errors."""
    x, s, rate = adapter({"k": 1}), 3.0, 1e-4
    a, b, g = x["k"]["lora_a"], x["k"]["lora_b"], GRADIENTS["k"]

    def change(key):
        tx = zojax.ar1_zo(rate, key)
        updates, _ = tx.update(None, tx.init(x), x, value_fn=linear, scale=s)
        one = updates["k"]
        return s * (one["lora_a"] @ b + a @ one["lora_b"]) / rate

    changes = np.asarray(jax.jit(jax.vmap(change))(jax.random.split(jax.random.key(1), 20000)))
    expected = -(s**2) * (a @ a.T @ g + g @ b.T @ b)
    error = changes.std(axis=0) / np.sqrt(len(changes))
    assert (np.abs(changes.mean(axis=0) - expected) < 5 * error).all()
    # The bound must be able to fail: it is far below what is bounded.
    assert error.max() < 0.05 * np.abs(expected).max()


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
    model = OPT(config, rngs=nnx.Rngs(0))
    model = lora.adapt(model, ["q_proj", "v_proj"], rank=2, scale=2.0, key=key)
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
    above, below = (
        loss(jax.tree.map(lambda x, z, r=r: x + r * z, x, z), frozen) for r in (0.1, -0.1)
    )
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
