"""LOREN is the algorithm of the paper, and without curvature a plain method."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.reference.loren import loren as reference

RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(8, 3))
LABELS = RNG.choice([-1.0, 1.0], size=(8, 2))
START = {
    "b": RNG.normal(size=2),
    "first": RNG.normal(size=(3, 4)),
    "second": RNG.normal(size=(4, 2)),
}
QUERIES, STEPS = 3, 5


def logistic(x, numbers=jnp):
    hidden = numbers.tanh(FEATURES @ x["first"])
    margins = LABELS * (hidden @ x["second"] + x["b"])
    return numbers.mean(numbers.log1p(numbers.exp(-margins)))


def turned(x):
    """Kernels (in, out) as the paper has its matrices, (out, in), and back."""
    return {name: np.asarray(value, np.float64).T for name, value in x.items()}


def run(tx, key, x, count=STEPS, value_fn=logistic):
    """The params, the state of the sampler, and the white noise of every step.

    That noise is what the gaussian sampler draws with the same key.
    """

    def step(carry, index):
        x, state = carry
        updates, state = tx.update(None, state, x, value_fn=value_fn)
        directions, _ = zojax.gaussian().draw((), key, index, QUERIES, x)
        u = jax.vmap(lambda direction: zojax.materialize(direction, x))(directions)
        return (optax.apply_updates(x, updates), state), (u, optax.tree.get(state, "curvature"))

    (x, _), (noise, curvature) = jax.lax.scan(step, (x, tx.init(x)), jnp.arange(count))
    return x, curvature, noise


@pytest.mark.parametrize(
    ("structure", "per_query"),
    [("row_blocks", False), ("whole_tensor", False), ("row_blocks", True)],
)
def test_five_steps_equal_the_loop_of_the_paper(structure, per_query, key, x64):
    """Fed the same noise; η_a τ is such that a moves by its own size. 1e-6: z and a are float32."""
    x = jax.tree.map(jnp.asarray, START)
    hyper = {
        "radius": 0.02,
        "rho": 0.3,
        "curvature_learning_rate": 0.05,
        "temperature": 1500.0,
        "momentum": 0.7,
        "momentum_per_query": per_query,
        "structure": structure,
        "weight_decay": 0.2,
    }
    tx = zojax.loren(
        0.1,
        key,
        num_queries=QUERIES,
        weight_decay_mask={"b": False, "first": True, "second": True},
        **hyper,
    )
    sampler = zojax.anisotropic(0.3, rate=0.0, views=zojax.last_axis_rows)

    @jax.jit
    def both():
        _, first = sampler.draw(sampler.init(x), key, jnp.int32(0), 1, x)
        return first.curvature, run(tx, key, x)

    first, (got, curvature, noise) = both()
    expected, learned = reference(
        lambda x: logistic(turned(x), np),
        turned(START),
        first,
        [
            [turned({name: noise[name][step, query] for name in x}) for query in range(QUERIES)]
            for step in range(STEPS)
        ],
        learning_rate=0.1,
        decayed=["first", "second"],
        **hyper,
    )
    for name in START:
        np.testing.assert_allclose(got[name].T, expected[name], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(curvature[name][-1], learned[name], rtol=1e-5, atol=1e-5)
        assert np.abs(learned[name] - first[name]).max() > 0.1


def test_momentum_per_query_is_the_sums_that_its_loop_comes_to(key):
    """M ← β^K M + Σ_k β^(K-k) g_k, and x moves by (Σ_k β^k) M + Σ_k (1 - β^(K-k+1))/(1 - β) g_k."""
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)
    beta = 0.6
    tx = zojax.loren(
        1.0, key, num_queries=QUERIES, radius=0.5, momentum=beta, momentum_per_query=True
    )
    sampler = zojax.anisotropic(0.1, rate=0.0, views=zojax.last_axis_rows)

    @jax.jit
    def step(state, index):
        curvature = optax.tree.get(state, "curvature")
        before = optax.tree.get(state, "trace")
        memory = sampler.init(x)._replace(curvature=curvature)
        z = sampler.draw(memory, key, index, QUERIES, x)[0]
        updates, state = tx.update(None, state, x, value_fn=logistic)
        c = optax.tree.get(state, "coefficients")
        terms = jax.vmap(lambda c, d: optax.tree.scale(c, zojax.materialize(d, x)))(c, z)
        return state, (updates, before, optax.tree.get(state, "trace"), terms)

    left = QUERIES + 1 - np.arange(1, QUERIES + 1)  # steps that a query's estimate still takes
    state = tx.init(x)
    for index in range(2):
        state, (updates, before, after, terms) = step(state, jnp.int32(index))
        for name in ("first", "second"):
            remembered = np.einsum("k,kij->ij", beta ** (left - 1), terms[name])
            moved = np.einsum("k,kij->ij", (1 - beta**left) / (1 - beta), terms[name])
            expected = beta**QUERIES * before[name] + remembered
            np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-6)
            expected = -(beta**left).sum() * before[name] - moved
            np.testing.assert_allclose(updates[name], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(updates["b"], -terms["b"].sum(0), rtol=1e-5, atol=1e-6)


def test_without_curvature_it_is_leave_one_out_with_a_heavy_ball(key):
    """Vectors have no momentum. rtol: two programs that add up in another order."""
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)
    curved = zojax.loren(0.1, key, num_queries=QUERIES, init_scale=0.0, curvature_learning_rate=0)
    matrices = {"b": False, "first": True, "second": True}
    plain = optax.chain(
        zojax.estimate_gradient(key, zojax.gaussian(), zojax.leave_one_out(num_queries=QUERIES)),
        optax.masked(optax.trace(0.9), matrices),
        optax.scale_by_learning_rate(0.1),
    )

    @jax.jit
    def both():
        def step(carry, _):
            x, state = carry
            updates, state = plain.update(None, state, x, value_fn=logistic)
            return (optax.apply_updates(x, updates), state), None

        (end, _), _ = jax.lax.scan(step, (x, plain.init(x)), length=STEPS)
        return run(curved, key, x)[0], end

    got, expected = both()
    chex.assert_trees_all_close(got, expected, rtol=1e-5)
    assert all((got[name] != x[name]).all() for name in x)


def test_what_is_stored_is_float32_and_no_larger_than_said(key):
    """One tree for the matrices and n numbers a matrix, with bfloat16 weights too."""
    x = {"b": jnp.zeros(5, jnp.bfloat16), "w": jnp.zeros((2, 4, 3), jnp.bfloat16)}
    state = zojax.loren(0.1, key).init(x)
    trace = optax.tree.get(state, "trace")
    curvature = optax.tree.get(state, "curvature")
    assert [leaf.shape for leaf in jax.tree.leaves(trace)] == [(2, 4, 3)]
    assert {name: a.shape for name, a in curvature.items()} == {"b": (5,), "w": (2, 4)}
    assert {leaf.dtype for leaf in jax.tree.leaves((trace, curvature))} == {jnp.dtype("float32")}


@pytest.mark.parametrize("per_query", [False, True])
def test_a_loss_that_is_not_finite_touches_neither_params_nor_curvature(per_query, key):
    x = {"w": jnp.ones((2, 3))}
    options = {"temperature": 1e3, "weight_decay": 0.5, "momentum_per_query": per_query}
    tx = zojax.loren(0.1, key, num_queries=2, **options)

    def loss(x, spoil):
        return jnp.sum(x["w"] ** 2) + jnp.where(spoil, jnp.nan, 0.0)

    @jax.jit
    def step(state, spoil):
        updates, state = tx.update(None, state, x, value_fn=loss, spoil=spoil)
        return updates, state, optax.tree.get(state, "curvature")["w"]

    _, state, before = step(tx.init(x), False)
    updates, state, after = step(state, True)
    np.testing.assert_array_equal(updates["w"], 0)
    np.testing.assert_array_equal(after, before)
    assert (step(state, False)[2] != after).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        ({"num_queries": 1}, r"num_queries must be an integer of at least 2, got 1"),
        ({"rho": 0.0}, r"rho must be a finite number above 0, got 0.0"),
        ({"momentum": 1.0}, r"momentum must be a number of at least 0 and below 1, got 1.0"),
        ({"temperature": -1.0}, r"temperature must be .* at least 0, got -1.0"),
        ({"curvature_learning_rate": -1.0}, r"curvature_learning_rate must be .* got -1.0"),
        ({"init_scale": -1.0}, r"init_scale must be .* at least 0, got -1.0"),
        ({"weight_decay": -0.1}, r"weight_decay must be .* at least 0, got -0.1"),
        ({"structure": "rows"}, r"structure must be one of row_blocks, whole_tensor, got 'rows'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.loren(0.1, key, **arguments)
