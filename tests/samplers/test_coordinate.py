"""Coordinates in random and in cyclic order, and the coordinate-wise estimates they make."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from tests.reference.adaptive import coordinate_estimate, random_coordinates_estimate

START = {"b": np.array([0.3, -1.2]), "s": np.array(0.7), "w": np.array([[0.5, 0.1], [2.0, -0.4]])}
SIZE = 7
HESSIAN = np.random.default_rng(4).normal(size=(SIZE, SIZE))
HESSIAN = HESSIAN + HESSIAN.T
SLOPE = np.arange(1.0, SIZE + 1)
RADIUS = 0.2
MU = RADIUS * np.sqrt(SIZE)
# The unit vectors carry √d in float32, which the estimate has twice.
RTOL = 5e-7


def flat(tree, numbers=np):
    return numbers.concatenate([numbers.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def quadratic(x, numbers=jnp):
    x = flat(x, numbers)
    return x @ HESSIAN @ x / 2 + x @ SLOPE + 1


def quartic(x, numbers=jnp):
    return quadratic(x, numbers) + numbers.sum(flat(x, numbers) ** 4)


def estimates(estimator, loss, key, *, order="cyclic", steps=1, start=START):
    """The estimates of the first steps, (steps, SIZE), and the evaluations of one."""
    x = jax.tree.map(jnp.asarray, start)
    tx = zojax.estimate_gradient(key, zojax.coordinate(order), estimator)

    @jax.jit
    def run(count):
        state = tx.init(x)._replace(count=count)
        updates, state = tx.update(None, state, x, value_fn=loss)
        return flat(updates, jnp), state.num_evaluations

    found = [run(jnp.int32(step)) for step in range(steps)]
    return np.array([estimate for estimate, _ in found]), int(found[0][1])


CASES = {"central": (zojax.central, True, 2 * SIZE), "forward": (zojax.forward, False, SIZE + 1)}


@pytest.mark.parametrize("name", CASES)
def test_all_coordinates_make_the_coordinate_wise_estimate(name, key, x64):
    """d queries in cyclic order are CGE with μ = radius √d, at its cost, in every step."""
    make, central, evaluations = CASES[name]
    found, cost = estimates(make(RADIUS, SIZE), quartic, key, steps=2)
    expected = coordinate_estimate(lambda x: quartic(x, np), flat(START), MU, central=central)
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)), rtol=RTOL)
    assert cost == evaluations


def test_it_is_exact_on_quadratics_but_for_the_diagonal_of_the_hessian(key, x64):
    """Central: the gradient, for any radius. Forward: and μ/2 times that diagonal."""
    gradient = HESSIAN @ flat(START) + SLOPE
    central, _ = estimates(zojax.central(RADIUS, SIZE), quadratic, key)
    np.testing.assert_allclose(central[0], gradient, rtol=RTOL)
    forward, _ = estimates(zojax.forward(RADIUS, SIZE), quadratic, key)
    error = MU / 2 * np.diag(HESSIAN)
    np.testing.assert_allclose(forward[0], gradient + error, rtol=RTOL)
    assert np.abs(error).min() > 1e-2


@pytest.mark.parametrize("num_queries", [1, 2])
def test_single_coordinates_are_unbiased(num_queries, key, x64):
    """By enumeration: the mean over d steps, in which each coordinate comes up K times.

    A step of few queries holds d/K times the quotients of its coordinates, and costs 2 K.
    """
    found, cost = estimates(zojax.central(RADIUS, num_queries), quadratic, key, steps=SIZE)
    gradient = HESSIAN @ flat(START) + SLOPE
    np.testing.assert_allclose(found.mean(axis=0), gradient, rtol=RTOL)
    entries = [place % SIZE for place in range(num_queries)]
    expected = np.zeros(SIZE)
    expected[entries] = SIZE / num_queries * gradient[entries]
    np.testing.assert_allclose(found[0], expected, rtol=RTOL)
    assert cost == 2 * num_queries


def test_random_coordinates_are_zo_scd(key, x64):
    """d/q times the central quotients of the coordinates drawn, some of them twice."""
    queries, x = 9, flat(START)
    estimator = zojax.central(RADIUS, queries)
    found, cost = estimates(estimator, quartic, key, order="random", start=x)

    @jax.jit
    def indices_drawn():
        drawn, _ = zojax.coordinate().draw((), key, jnp.int32(0), queries, x)
        z = jax.vmap(lambda direction: zojax.materialize(direction, x))(drawn)
        return jnp.argmax(z, axis=1)

    indices = indices_drawn().tolist()
    assert len(set(indices)) < queries
    expected = random_coordinates_estimate(lambda x: quartic(x, np), x, indices, MU)
    np.testing.assert_allclose(found[0], expected, rtol=RTOL, atol=1e-12)
    assert cost == 2 * queries


def test_cyclic_directions_are_the_entries_in_order():
    """(t K + k) mod d, whatever the key, leaf after leaf and row after row; √d in each."""
    draw = jax.jit(zojax.coordinate("cyclic").draw, static_argnums=3)
    order = []
    for step, seed in itertools.product(range(4), (0, 1)):
        directions, _ = draw((), jax.random.key(seed), jnp.int32(step), 3, START)
        z = jax.vmap(lambda direction: zojax.materialize(direction, START))(directions)
        vectors = np.concatenate([leaf.reshape(3, -1) for leaf in jax.tree.leaves(z)], axis=1)
        assert ((vectors != 0).sum(axis=1) == 1).all()
        np.testing.assert_allclose(vectors.max(axis=1), np.sqrt(SIZE), rtol=1e-6)
        order.extend(np.argmax(vectors, axis=1) if seed == 0 else [])
        assert order[-3:] == list(np.argmax(vectors, axis=1))
    assert order == [place % SIZE for place in range(12)]


@pytest.mark.parametrize("step", [1, 858_993_458, 2**31 - 1])
def test_late_steps_of_large_params_do_not_overflow(step):
    """2³¹ - 2 entries, none of them allocated; t K is up to 2³³, and passes the end of params."""
    leaf = jax.ShapeDtypeStruct(((1 << 16) - 1, 1 << 15), jnp.float32)
    rest = jax.ShapeDtypeStruct(((1 << 15) - 2,), jnp.float32)
    size, queries = (1 << 31) - 2, 5
    params = {"a": leaf, "b": rest}
    draw = jax.jit(lambda step: zojax.coordinate("cyclic").draw((), None, step, queries, params)[0])
    of_leaf, of_rest = draw(jnp.int32(step))
    for query in range(queries):
        entry = (step * queries + query) % size
        inside = entry < leaf.size
        here = of_leaf if inside else of_rest
        other = of_rest if inside else of_leaf
        width = leaf.shape[1] if inside else rest.shape[0]
        row, column = divmod(entry if inside else entry - leaf.size, width)
        left = np.asarray(here.left[query]).reshape(-1)
        assert np.flatnonzero(left).tolist() == [row]
        np.testing.assert_allclose(left[row], np.sqrt(size), rtol=1e-6)
        assert np.flatnonzero(here.right[query]).tolist() == [column]
        assert not np.any(other.left[query])


def test_more_entries_than_can_be_numbered_are_refused():
    params = {"a": jax.ShapeDtypeStruct((1 << 16, 1 << 15), jnp.float32)}
    assert zojax.coordinate("cyclic").init(params) == ()
    params["b"] = jax.ShapeDtypeStruct((1,), jnp.float32)
    with pytest.raises(ValueError, match=r"at most 2\*\*31; got 2147483649\. Use order='random'"):
        zojax.coordinate("cyclic").init(params)
    assert zojax.coordinate("random").init(params) == ()


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match=r"order must be one of random, cyclic, got 'shuffled'"):
        zojax.coordinate("shuffled")
