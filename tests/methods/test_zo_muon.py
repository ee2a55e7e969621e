"""ZO-Muon is the algorithm of the paper, and has the properties that its card states."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.compiling import BUFFERS_AS_USERS_HAVE
from tests.reference import zo_muon as reference

RNG = np.random.default_rng(11)
FEATURES = RNG.normal(size=(8, 4))
LABELS = RNG.choice([-1.0, 1.0], size=(8, 3))
# Kernels are (in, out) here; the paper's matrices are their transposes.
START = {
    "b": RNG.normal(size=3),
    "hidden": RNG.normal(size=(4, 5)),
    "out": RNG.normal(size=(5, 3)),
}


def network(x, numbers=jnp):
    logits = numbers.tanh(FEATURES @ x["hidden"]) @ x["out"] + x["b"]
    return numbers.mean(numbers.log1p(numbers.exp(-LABELS * logits)))


def turned(x):
    return {name: value.T for name, value in x.items()}


def directions_of(rank, period, views=zojax.last_axis_rows):
    """What the method draws from, put together once more."""
    kinds = {"left": "haar", "core": "gaussian", "right": "identity"}
    return zojax.factored(rank, **kinds, left_period=period, scale=1.0, views=views)


@pytest.mark.parametrize(
    ("num_queries", "method", "weight_decay"), [(4, "newton_schulz", 0.3), (1, "polar", 0.0)]
)
def test_five_steps_equal_the_papers_loop(num_queries, method, weight_decay, key, x64):
    """Fed the same P, U and z, over two refreshes. rtol: losses rounded, divided by the radius."""
    x = jax.tree.map(jnp.asarray, START)
    rates = {"learning_rate": 0.1, "learning_rate_1d": 0.5}
    tx = zojax.zo_muon(
        rates["learning_rate"],
        key,
        learning_rate_1d=rates["learning_rate_1d"],
        radius=1e-2,
        num_queries=num_queries,
        rank=2,
        period=2,
        orthogonalization=zojax.orthogonalize(method),
        weight_decay=weight_decay,
        weight_decay_mask={"b": False, "hidden": True, "out": True},
    )
    sampler = directions_of(2, 2)

    @jax.jit
    def run():
        def step(carry, index):
            x, state, drawn = carry
            updates, state = tx.update(None, state, x, value_fn=network)
            (z, hidden, out), drawn = sampler.draw(drawn, key, index, num_queries, x)
            z = jax.vmap(lambda recipe: recipe.draw((3,)))(z)
            noise = {"b": z, "hidden": hidden.right.mT, "out": out.right.mT}
            x = optax.apply_updates(x, updates)
            tape = (drawn["left"], noise, optax.tree.get(state, "coefficients"))
            return (x, state, drawn), tape

        carry, tape = jax.lax.scan(step, (x, tx.init(x), sampler.init(x)), jnp.arange(5))
        return carry[0], optax.tree.get(carry[1], "num_evaluations"), *tape

    got, evaluations, bases, noise, coefficients = run()
    assert evaluations == 5 * (num_queries + 1)
    steps = []
    for step in range(5):
        subspaces = dict(zip(("hidden", "out"), (np.float64(p[step]) for p in bases), strict=True))
        queries = [
            {name: np.float64(noise[name][step, query]) for name in noise}
            for query in range(num_queries)
        ]
        steps.append((subspaces, queries))
    expected, slopes = reference.zo_muon(
        lambda x: network(turned(x), np),
        turned(START),
        steps,
        **rates,
        radius=1e-2,
        orthogonalize=getattr(reference, method),
        weight_decay=weight_decay,
        decayed=["hidden", "out"],
    )
    for name, value in turned(expected).items():
        np.testing.assert_allclose(got[name], value, rtol=1e-6)
    # The state keeps them in float32.
    np.testing.assert_allclose(coefficients * num_queries, slopes, rtol=1e-6)


PARAMS = {
    "b": np.float32(RNG.normal(size=3)),
    "embed": np.float32(RNG.normal(size=(5, 4))),
    "stack": np.float32(RNG.normal(size=(2, 6, 5))),
}
RANK, PERIOD, STEPS, QUERIES, RADIUS = 3, 2, 5, 4, 2**-6
RATE, RATE_1D = 0.5, 0.25


def views(path, leaf):
    """Embeddings follow the rule for vectors."""
    if "embed" in jax.tree_util.keystr(path):
        return None
    return zojax.last_axis_rows(path, leaf)


def loss(x, scale):
    return scale * sum(jnp.sum(jnp.sin(leaf) + leaf**2) for leaf in jax.tree.leaves(x))


@functools.cache
def recorder(method):
    """Scale of the loss -> updates, estimates and P of every step, params staying where they are.

    The estimates are those of the same directions without any link for the cores.
    """
    key = jax.random.key(0)
    tx = zojax.zo_muon(
        RATE,
        key,
        learning_rate_1d=RATE_1D,
        radius=RADIUS,
        num_queries=QUERIES,
        rank=RANK,
        period=PERIOD,
        orthogonalization=zojax.orthogonalize(method),
        views=views,
    )
    sampler = directions_of(RANK, PERIOD, views)
    estimate = zojax.estimate_gradient(key, sampler, zojax.forward(RADIUS, QUERIES))

    @jax.jit
    def run(scale):
        def step(states, _):
            (updates, state), (estimates, plain) = (
                link.update(None, state, PARAMS, value_fn=loss, scale=scale)
                for link, state in zip((tx, estimate), states, strict=True)
            )
            (basis,) = optax.tree.get(state, "sampler")["left"]
            return (state, plain), (updates, estimates, basis)

        return jax.lax.scan(step, (tx.init(PARAMS), estimate.init(PARAMS)), length=STEPS)[1]

    return run


def test_the_subspace_is_kept_for_a_period_and_shared_by_the_queries():
    """P has orthonormal columns; the estimates, of 4 queries each, lie in its columns."""
    _, estimates, basis = recorder("newton_schulz")(1.0)
    assert basis.shape == (STEPS, 2, 5, RANK)
    np.testing.assert_allclose(
        basis.mT @ basis, np.broadcast_to(np.eye(RANK), (STEPS, 2, RANK, RANK)), atol=2e-6
    )
    kept = [bool((basis[t] == basis[t - 1]).all()) for t in range(1, STEPS)]
    assert kept == [True, False, True, False]
    assert jnp.abs(basis[2] - basis[0]).min() > 0
    ambient = estimates["stack"].mT
    np.testing.assert_allclose(basis @ (basis.mT @ ambient), ambient, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("method", "least", "most"), [("newton_schulz", 0.65, 1.2), ("polar", 0.9999, 1.0001)]
)
def test_an_update_of_a_matrix_is_orthogonal_in_the_subspace(method, least, most):
    """All r singular values of ΔW/η are near 1, the others 0, and ΔW = P Pᵀ ΔW."""
    updates, estimates, basis = recorder(method)(1.0)
    step = -np.float64(updates["stack"]).swapaxes(-1, -2) / RATE
    values = np.linalg.svd(step, compute_uv=False)
    assert least <= values[..., :RANK].min()
    assert values[..., :RANK].max() <= most
    assert values[..., RANK:].max() <= 1e-5
    basis = np.float64(basis)
    np.testing.assert_allclose(basis @ (basis.swapaxes(-1, -2) @ step), step, atol=1e-5)
    # It is downhill: the product with the estimate is about its nuclear norm.
    ambient = np.float64(estimates["stack"]).swapaxes(-1, -2)
    nuclear = np.linalg.svd(ambient, compute_uv=False).sum(-1)
    product = np.sum(ambient * step, (-1, -2))
    assert (least * nuclear <= product).all()
    assert (product <= most * nuclear).all()


def test_the_scale_of_the_loss_matters_to_vectors_alone():
    """They follow v ← v - η₁ ĝ_v, as do the embeddings that the view calls none."""
    run = recorder("newton_schulz")
    updates, estimates, _ = run(1.0)
    scaled, _, _ = run(64.0)
    np.testing.assert_allclose(scaled["stack"], updates["stack"], atol=1e-4)
    for name in ("b", "embed"):
        np.testing.assert_allclose(updates[name], -RATE_1D * estimates[name], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(scaled[name], 64 * updates[name], rtol=1e-4)
        assert jnp.abs(updates[name]).max() > 0.1


@pytest.mark.parametrize("method", ["newton_schulz", "polar"])
def test_a_flat_loss_moves_nothing(method):
    for leaf in jax.tree.leaves(recorder(method)(0.0)[0]):
        np.testing.assert_array_equal(leaf, 0.0)


def test_one_query_keeps_the_sign_of_its_slope(key):
    """The update is -η sgn(c) P msign(U), with a central difference."""
    params = {"w": jnp.asarray(START["hidden"], jnp.float32)}
    tx = zojax.zo_muon(
        1.0, key, num_queries=1, rank=2, orthogonalization=zojax.orthogonalize("polar")
    )
    sampler = directions_of(2, 100)

    @jax.jit
    def run():
        updates, state = tx.update(None, tx.init(params), params, value_fn=loss, scale=1.0)
        (direction,), _ = sampler.draw(sampler.init(params), key, jnp.int32(0), 1, params)
        return updates, optax.tree.get(state, "coefficients")[0], direction, state

    updates, slope, direction, state = run()
    assert optax.tree.get(state, "num_evaluations") == 2
    z = np.float64(direction.left[0]) @ reference.polar(np.float64(direction.right[0].T))
    np.testing.assert_allclose(updates["w"].T, -np.sign(slope) * z, atol=1e-5)


def test_the_small_estimate_is_unbiased(key):
    """E[c U | P] = Pᵀ∇f on a linear loss: the lifted mean of 4000 queries within 5 standard errors.

    An entry of P (c U), with h = P Pᵀ∇f, has a variance of at most ‖h‖² + h².
    """
    count = 4000
    slope = np.float32(RNG.normal(size=(4, 5)))
    params = {"w": jnp.zeros((4, 5))}
    tx = zojax.zo_muon(
        1.0, key, radius=1.0, num_queries=count, rank=2, orthogonalization=optax.identity()
    )

    @jax.jit
    def run():
        linear = lambda x: jnp.sum(slope * x["w"])  # noqa: E731
        updates, state = tx.update(None, tx.init(params), params, value_fn=linear)
        return updates["w"], optax.tree.get(state, "sampler")["left"][0]

    update, basis = run()
    basis = np.float64(basis)
    expected = (basis @ basis.T @ slope.T).T
    error = np.sqrt((np.sum(expected**2) + expected**2) / count)
    assert np.abs(expected).max() > 5 * error.max()
    assert (np.abs(-update - expected) <= 5 * error).all()


def test_more_queries_take_no_more_memory(key):
    """P is not copied for each, nor are all U there at once: XLA's own account of the step."""
    params = {"stack": jnp.zeros((4, 64, 64))}

    def deep(x):
        return jnp.sum(
            jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), jnp.ones(64), x["stack"])[0]
        )

    def temporaries(num_queries):
        tx = zojax.zo_muon(0.1, key, num_queries=num_queries, rank=16)
        step = jax.jit(lambda x, state: tx.update(None, state, x, value_fn=deep))
        return (
            step.lower(params, tx.init(params))
            .compile(BUFFERS_AS_USERS_HAVE)
            .memory_analysis()
            .temp_size_in_bytes
        )

    basis = 4 * 64 * 16 * 4
    assert temporaries(16) < temporaries(2) + basis / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        ({"num_queries": 0}, r"num_queries must be an integer of at least 1, got 0"),
        ({"rank": 0}, r"rank must be an integer of at least 1, got 0"),
        ({"period": 0}, r"period must be an integer of at least 1, got 0"),
        ({"weight_decay": -0.1}, r"weight_decay must be a finite number of at least 0, got -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, key):
    with pytest.raises(ValueError, match=message):
        zojax.zo_muon(0.1, key, **arguments)


def test_a_rank_above_every_matrix_is_refused_and_a_narrow_one_is_clamped(key):
    """(9, 2) has rank 2 at most; 5 fits the other."""
    params = {"narrow": jnp.zeros((9, 2)), "w": jnp.zeros((5, 6))}
    with pytest.raises(ValueError, match=r"rank must be at most 5, .* got 6"):
        zojax.zo_muon(0.1, key, rank=6).init(params)
    state = zojax.zo_muon(0.1, key, rank=5).init(params)
    bases = optax.tree.get(state, "sampler")["left"]
    assert [basis.shape for basis in bases] == [(2, 2), (6, 5)]
