"""Keys depend on (key, step, query, leaf path, role) alone, and never change between versions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from zojax.noise import Role, _keys

TREE = {"bias": jnp.zeros(3), "layers": [{"kernel": jnp.zeros((2, 40))}, jnp.zeros(())]}

GOLDEN_QUERIES = [[2663374494, 575560183], [3395324082, 1786192103]]
GOLDEN_REFRESH = [4146024105, 2718843009]
GOLDEN = {
    "DIRECTION": [[3150681580, 2392666409], [4215759828, 3743410970], [1643646173, 411471778]],
    "LEFT": [[627186701, 1135542569], [195617237, 3235427068], [3783709614, 239845998]],
    "CORE": [[2261769245, 456218247], [3722307303, 3798479155], [1613212488, 3204425492]],
    "RIGHT": [[1990594561, 1180098861], [2823920340, 2473475736], [878708350, 2291608339]],
    "COORDINATE": [[3150294878, 3171697211], [2475659501, 1765379426], [3284033910, 3021614722]],
    "CURVATURE": [[2035336745, 245635023], [2099402960, 1648356540], [824612722, 4148535985]],
    "ORDER": [[4247424570, 4100351557], [914649297, 2177718100], [1290039840, 2481326261]],
    "ESTIMATOR": [[2107852930, 794402680], [630638547, 558750123], [1353294951, 1042546663]],
    "ROUNDING": [[2021593790, 3163579054], [24643968, 2143478391], [899509801, 1826733844]],
}
GOLDEN_ORDER = [1005459691, 381266854]
GOLDEN_ESTIMATOR = [1958017545, 2185270144]
# By random bits: of the bias, and of row 1 of the kernel.
GOLDEN_ROWS = {
    8: ([1.65702682, -0.959664406, -2.87483784], [0.917257911, 0.361452465, 0.483174515]),
    16: ([-0.4402286, 0.552362674, 1.61898747], [-0.250424107, -0.46042033, -0.29776557]),
    32: ([0.12442896, -0.948807002, -0.197783657], [-0.739073035, 0.691041148, 0.0776069795]),
}
GOLDEN_SIGNS = "+-++-+----++--++---++-+--+-+--+-+-+-+--+"


def drawn(sampler, key, step, num_queries, params):
    """The dense trees of all queries of a step, stacked."""
    directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(step), num_queries, params)
    return jax.vmap(lambda direction: zojax.materialize(direction, params))(directions)


draw = jax.jit(drawn, static_argnums=(0, 3))


def test_golden_keys(key):
    """A change of these words changes every stored run."""
    of_query = _keys.query_keys(key, jnp.int32(5), 2)
    words = {role.name: _keys.leaf_keys(of_query[1], TREE, role) for role in Role}
    refresh = _keys.refresh_key(key, jnp.int32(2))
    np.testing.assert_array_equal(jax.random.key_data(of_query), GOLDEN_QUERIES)
    np.testing.assert_array_equal(jax.random.key_data(refresh), GOLDEN_REFRESH)
    order = _keys.order_key(key, jnp.int32(3))
    np.testing.assert_array_equal(jax.random.key_data(order), GOLDEN_ORDER)
    estimator = _keys.estimator_key(key, jnp.int32(5))
    np.testing.assert_array_equal(jax.random.key_data(estimator), GOLDEN_ESTIMATOR)
    assert {name: jax.random.key_data(keys).tolist() for name, keys in words.items()} == GOLDEN


@pytest.mark.parametrize("bits", GOLDEN_ROWS)
def test_golden_gaussian_rows(bits, key):
    """Levels in double precision, of the words that the cipher gives in NumPy (`tests.fuzz`)."""
    z = draw(zojax.gaussian(bits=bits), key, 5, 2, TREE)
    bias, kernel = GOLDEN_ROWS[bits]
    np.testing.assert_allclose(z["bias"][1], bias, rtol=3e-6)
    np.testing.assert_allclose(z["layers"][0]["kernel"][1, 1, :3], kernel, rtol=3e-6)


def test_golden_signs(key):
    z = draw(zojax.rademacher(), key, 5, 2, TREE)
    bits = "".join("+" if sign > 0 else "-" for sign in z["layers"][0]["kernel"][1, 1])
    assert bits == GOLDEN_SIGNS


def test_leaves_of_one_shape_steps_and_queries_never_share_a_row(key):
    """All rows of all leaves, queries and steps are different; names that join alike too."""
    leaf = jnp.zeros((4, 2))
    params = {"a": {"b": leaf, "c": leaf}, "a/b": leaf, "a.b": leaf, "l": [leaf, (leaf, leaf)]}
    z = [draw(zojax.gaussian(bits=32), key, step, 3, params) for step in range(2)]
    rows = np.concatenate([np.reshape(leaf, (-1, 2)) for leaf in jax.tree.leaves(z)])
    assert rows.shape == (2 * 3 * 7 * 4, 2)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_parts_of_a_factored_direction_never_share_noise(key):
    """L, core and R of square matrices have the same shape, and different roles."""
    params = {"a": jnp.zeros((3, 3)), "b": jnp.zeros((3, 3))}
    roles = [_keys.leaf_keys(key, params, role) for role in Role]
    words = np.concatenate([jax.random.key_data(keys) for keys in roles])
    assert len(np.unique(words, axis=0)) == len(Role) * len(params)


def test_neither_another_leaf_nor_another_query_changes_the_noise_of_a_leaf(key):
    params = {"b": jnp.zeros(5)}
    alone = draw(zojax.rademacher(), key, 3, 1, params)
    among = draw(zojax.rademacher(), key, 3, 4, {"a": jnp.zeros(7), **params})
    np.testing.assert_array_equal(alone["b"][0], among["b"][0])


def test_unsafe_rbg_is_refused():
    with pytest.raises(ValueError, match=r"unsafe_rbg.*threefry2x32"):
        zojax.mezo(0.1, jax.random.key(0, impl="unsafe_rbg"))


def test_rbg_is_warned_about():
    with pytest.warns(UserWarning, match=r"rbg.*vmap.*threefry2x32"):
        zojax.mezo(0.1, jax.random.key(0, impl="rbg"))


@pytest.mark.parametrize("key", [0, jnp.zeros(2, jnp.uint32)], ids=["number", "words"])
def test_a_key_without_type_is_refused(key):
    with pytest.raises(TypeError, match=r"key must be a typed key.*jax\.random\.key\(0\)"):
        zojax.mezo(0.1, key)


def test_several_keys_are_refused(key):
    with pytest.raises(TypeError, match=r"one key.*shape \(2,\)"):
        zojax.mezo(0.1, jax.random.split(key))
