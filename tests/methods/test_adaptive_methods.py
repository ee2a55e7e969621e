"""The adaptive methods and their baselines are the loops of their papers, and what sets them apart.

The references work on flat vectors, those of sphere directions with unit vectors and μ = √d radius.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.reference import adaptive

RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(8, 3))
LABELS = RNG.choice([-1.0, 1.0], size=(8, 2))
START = {"a": RNG.normal(size=(3, 2)), "b": RNG.normal(size=2), "c": RNG.normal(size=(2, 2))}
RADIUS = 1e-2


def loss(x, numbers=jnp):
    """A smooth loss of two matrices and a vector, curved in all of them."""
    margins = LABELS * ((FEATURES @ x["a"] + x["b"]) @ x["c"])
    return numbers.mean(numbers.log1p(numbers.exp(-margins))) + numbers.sum(x["c"] ** 2) / 10


def flat(tree, numbers=np):
    leaves = jax.tree.leaves(tree)
    return numbers.concatenate([numbers.reshape(leaf, -1) for leaf in leaves])


def flat_loss(x):
    a, b, c = np.split(x, [6, 8])
    return loss({"a": a.reshape(3, 2), "b": b, "c": c.reshape(2, 2)}, np)


def five_steps(tx, sampler, num_queries, key):
    """Scale of the loss -> (params after each of five steps, the directions of each), flat."""
    x = jax.tree.map(jnp.asarray, START)

    @jax.jit
    def run(scale):
        def step(carry, index):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=lambda x: scale * loss(x))
            directions, _ = sampler.draw((), key, index, num_queries, x)
            z = jax.vmap(lambda one: flat(zojax.materialize(one, x), jnp))(directions)
            x = optax.apply_updates(x, updates)
            return (x, state), (flat(x, jnp), z)

        return jax.lax.scan(step, (x, tx.init(x)), jnp.arange(5))[1]

    return lambda scale=1.0: jax.tree.map(lambda array: np.asarray(array, np.float64), run(scale))


GAUSSIAN, SPHERE = zojax.gaussian(), zojax.sphere()
DECAYS = {"b1": 0.9, "b2": 0.99}
BOX = (-0.5, 0.6)
# method, its options, the reference, what the reference calls them, the law
LOOPS = {
    "r_adazo": (
        zojax.r_adazo,
        DECAYS,
        adaptive.r_adazo,
        {**DECAYS, "eps": 1e-8},
        GAUSSIAN,
    ),
    "r_adazo with eps_root and warm-up": (
        zojax.r_adazo,
        {"b1": 0.5, "b2": 0.9, "eps": 0.0, "eps_root": 1e-3, "warmup_steps": 3},
        adaptive.r_adazo,
        {"b1": 0.5, "b2": 0.9, "eps": 0.0, "zeta": 1e-3, "ones_before": 3},
        GAUSSIAN,
    ),
    "zo_adamm in a box": (
        zojax.zo_adamm,
        {**DECAYS, "box": BOX},
        adaptive.zo_adamm,
        {**DECAYS, "eps": 0.0, "amsgrad": True, "lower": BOX[0], "upper": BOX[1]},
        SPHERE,
    ),
    "zo_adamm that forgets": (
        zojax.zo_adamm,
        {"b1": 0.3, "b2": 0.3},
        adaptive.zo_adamm,
        {"b1": 0.3, "b2": 0.3, "eps": 0.0, "amsgrad": True},
        SPHERE,
    ),
    "zo_adamm plain": (
        zojax.zo_adamm,
        {**DECAYS, "eps": 1e-3, "amsgrad": False},
        adaptive.zo_adamm,
        {**DECAYS, "eps": 1e-3, "amsgrad": False},
        SPHERE,
    ),
    "zo_rmsprop": (
        zojax.zo_rmsprop,
        {"b2": 0.9, "eps_root": 1e-3},
        adaptive.zo_rmsprop,
        {"b2": 0.9, "zeta": 1e-3},
        GAUSSIAN,
    ),
    "zo_sgd": (zojax.zo_sgd, {}, adaptive.zo_sgd, {}, SPHERE),
    "zo_sign_sgd": (zojax.zo_sign_sgd, {}, adaptive.zo_sign_sgd, {}, SPHERE),
}


@pytest.mark.parametrize("name", LOOPS)
def test_five_steps_equal_the_papers_loop(name, key, x64):
    """Fed the same z, with each method's own law. Tolerance: the sphere's √d, twice, in float32."""
    method, options, reference, terms, sampler = LOOPS[name]
    tx = method(0.1, key, radius=RADIUS, num_queries=3, **options)
    path, z = five_steps(tx, sampler, 3, key)()
    end = reference(flat_loss, flat(START), z, learning_rate=0.1, radius=RADIUS, **terms)
    np.testing.assert_allclose(path[-1], end, rtol=1e-6, atol=2e-7)
    if "box" in options:
        assert all(np.isclose(path, bound).any() for bound in BOX)


@pytest.mark.parametrize(
    "method",
    [
        functools.partial(zojax.r_adazo, eps=0.0),
        functools.partial(zojax.zo_adamm, amsgrad=False),
        functools.partial(zojax.r_adazo, b1=0.0, eps=0.0),
        zojax.zo_sign_sgd,
    ],
    ids=["r_adazo", "zo_adamm", "zo_rmsprop", "zo_sign_sgd"],
)
def test_the_scale_of_the_loss_does_not_matter_without_eps(method, key, x64):
    """2¹⁰ times the loss, and the same steps; ZO-RMSProp as R-AdaZO with b1 = 0, as its eps is > 0.

    A power of two is exact, and both are one program.
    """
    tx = method(0.1, key, num_queries=2)
    run = five_steps(tx, SPHERE, 2, key)
    (path, _), (scaled, _) = run(1.0), run(1024.0)
    np.testing.assert_allclose(scaled, path, rtol=1e-12)


def test_zo_rmsprop_is_r_adazo_without_a_first_moment(key, x64):
    arguments = {"num_queries": 2, "eps_root": 1e-3}
    rms, _ = five_steps(zojax.zo_rmsprop(0.1, key, **arguments), GAUSSIAN, 2, key)()
    tx = zojax.r_adazo(0.1, key, b1=0.0, eps=0.0, **arguments)
    np.testing.assert_allclose(five_steps(tx, GAUSSIAN, 2, key)()[0], rms, rtol=1e-10)


def test_zo_rmsprop_keeps_a_float32_moment_of_narrow_params(key):
    x = jnp.ones(3, jnp.bfloat16)
    tx = zojax.zo_rmsprop(0.1, key, num_queries=2)
    state = tx.init(x)
    assert optax.tree.get(state, "nu").dtype == jnp.float32
    update = jax.jit(lambda state: tx.update(None, state, x, value_fn=lambda x: jnp.sum(x**2)))
    updates, state = update(state)
    assert updates.dtype == jnp.bfloat16
    assert optax.tree.get(state, "nu").dtype == jnp.float32


def linear(x):
    return jnp.sum(x * jnp.array([0.0, 3.0, -1.0, 0.5, 2.0]))


def one_update(tx, value_fn):
    x = jnp.zeros(5)
    return jax.jit(lambda: tx.update(None, tx.init(x), x, value_fn=value_fn)[0])()


def test_every_entry_moves_by_the_learning_rate_or_not_at_all(key):
    """Coordinates that no query looked at have an estimate of 0, and sign(0) = 0."""
    tx = zojax.zo_sign_sgd(0.25, key, num_queries=2, sampler=zojax.coordinate("cyclic"))
    np.testing.assert_array_equal(one_update(tx, linear), [0.0, -0.25, 0.0, 0.0, 0.0])
    updates = one_update(zojax.zo_sign_sgd(0.25, key), linear)
    np.testing.assert_array_equal(jnp.abs(updates), 0.25)


def test_the_sign_is_taken_of_the_average_and_by_entry(key, x64):
    """Not the majority of the queries' signs; nor sign(slope) z, but for one query of signs."""
    x, radius, queries = jnp.zeros(5), 0.5, 4

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def both(name, queries):
        sampler = getattr(zojax, name)()
        tx = zojax.zo_sign_sgd(1.0, key, radius=radius, num_queries=queries, sampler=sampler)
        updates, _ = tx.update(None, tx.init(x), x, value_fn=linear)
        directions, _ = sampler.draw((), key, jnp.int32(0), queries, x)
        return updates, jax.vmap(lambda one: zojax.materialize(one, x))(directions)

    updates, z = both("gaussian", queries)
    slopes = np.array([linear(one) for one in z])
    np.testing.assert_array_equal(updates, -np.sign(slopes @ z))
    assert (np.sign(slopes @ z) != np.sign(np.sign(slopes) @ np.sign(z))).any()
    for name, same in {"gaussian": False, "rademacher": True}.items():
        updates, z = both(name, 1)
        sign_of_projection = -np.sign(linear(z[0])) * z[0]
        assert np.array_equal(updates, sign_of_projection) is same


def test_the_published_start_survives_a_loss_without_slope(key):
    """ZO-AdaMM has eps = 0 and a first estimate of 0 here: v_0 = 1e-7 stands between it and nan."""
    for method in (zojax.zo_adamm, functools.partial(zojax.r_adazo, eps=0.0), zojax.zo_rmsprop):
        tx = method(0.1, key, num_queries=2)
        np.testing.assert_array_equal(one_update(tx, lambda x: 0 * jnp.sum(x) + 7.0), 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_moves_neither_params_nor_beyond_the_box(bad, key):
    """Momentum of earlier steps included; the next step is taken."""
    x = jnp.array([1.0, -2.0])
    tx = zojax.zo_adamm(0.1, key, num_queries=2, box=(-3.0, 3.0))

    def spoilt(x, spoil):
        return jnp.sum(x**2) + jnp.where(spoil, bad, 0.0)

    @jax.jit
    def step(x, state, spoil):
        updates, state = tx.update(None, state, x, value_fn=spoilt, spoil=spoil)
        return optax.apply_updates(x, updates), state

    moved, state = step(x, tx.init(x), False)
    same, state = step(moved, state, True)
    chex.assert_trees_all_equal(same, moved)
    assert optax.tree.get(state, "num_nonfinite") == 1
    later, _ = step(same, state, False)
    assert (later != same).all()


METHODS = [zojax.r_adazo, zojax.zo_adamm, zojax.zo_rmsprop, zojax.zo_sgd, zojax.zo_sign_sgd]


@pytest.mark.parametrize(
    ("methods", "arguments", "message"),
    [
        (METHODS, {"radius": 0.0}, r"radius must be a finite number above 0, got 0.0"),
        (METHODS, {"num_queries": 0}, r"num_queries must be an integer of at least 1, got 0"),
        (METHODS, {"chunk_size": 0}, r"chunk_size must be an integer of at least 1, got 0"),
        (METHODS[:3], {"b2": 1.0}, r"b2 must be a number of at least 0 and below 1, got 1.0"),
        (METHODS[2:3], {"eps_root": 0.0}, r"eps_root must be a finite number above 0, got 0.0"),
        (METHODS[1:2], {"box": (1.0, 0.0)}, r"lower must be nowhere above upper"),
    ],
)
def test_numbers_out_of_range_are_refused(methods, arguments, message, key):
    for method in methods:
        with pytest.raises(ValueError, match=message):
            method(0.1, key, **arguments)
