"""Cores as coordinates: what they are combined to, lifted from, and carried over to."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from zojax import MatrixView

# A stack of kernels with an axis for the heads: each is one matrix, 5 by 4.
VIEW = MatrixView(rows=(1,), columns=(2, 3), batch=(0,))
PARAMS = {"b": jnp.zeros(3), "kernel": jnp.zeros((2, 5, 2, 2))}
QUERIES = 3
SIDES = ("gaussian", "haar", "identity")
WITH_CORES = [
    (left, core, right)
    for left, core, right in itertools.product(SIDES, ("diagonal", "gaussian"), SIDES)
    if [left, right].count("identity") <= (core == "gaussian")
]


def make(left, core, right, **options):
    def views(path, leaf):
        return None if leaf.ndim < 2 else VIEW

    periods = {"left_period": 1, "right_period": 1} | options
    return zojax.factored(2, left=left, core=core, right=right, views=views, **periods)


@pytest.mark.parametrize("kinds", WITH_CORES, ids="-".join)
def test_lifting_the_combined_cores_is_combining_the_directions(kinds, key):
    """Two orders of the same float32 sums."""
    sampler = make(*kinds, scale=0.7)
    c = jnp.array([0.5, -2.0, 1.5])

    @jax.jit
    def run():
        step = jnp.int32(4)
        directions, state = sampler.draw(sampler.init(PARAMS), key, step, QUERIES, PARAMS)
        expected = zojax.combine(c, directions, PARAMS)
        x = sampler.subspace.combine(state, key, step, c, directions, PARAMS)
        rest = jax.tree.map(lambda leaf: leaf + 1, PARAMS)
        return x, sampler.subspace.lift(state, x, rest, PARAMS), expected

    x, lifted, expected = run()
    assert x["b"] == optax.MaskedNode()
    assert jnp.abs(expected["kernel"]).max() > 0.1
    np.testing.assert_allclose(lifted["kernel"], expected["kernel"], rtol=1e-5, atol=2e-6)
    # A leaf without a core is what the caller has for it.
    np.testing.assert_array_equal(lifted["b"], 1.0)


@pytest.mark.parametrize(
    ("kinds", "shape"),
    [
        (("haar", "gaussian", "identity"), (2, 2, 4)),
        (("identity", "gaussian", "haar"), (2, 5, 2)),
        (("haar", "gaussian", "haar"), (2, 2, 2)),
        (("gaussian", "diagonal", "gaussian"), (2, 1, 2)),
    ],
    ids=lambda value: "-".join(map(str, value)),
)
def test_state_of_links_has_the_shape_of_the_cores(kinds, shape, x64):
    """In float32, wider for wider weights; none for leaves without a core."""
    for dtype, wide in (("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")):
        params = jax.tree.map(lambda leaf, dtype=dtype: leaf.astype(dtype), PARAMS)
        kept = make(*kinds).subspace.init(optax.trace(0.9), params)
        assert kept.trace["b"] == optax.MaskedNode()
        assert kept.trace["kernel"].shape == shape
        assert kept.trace["kernel"].dtype == wide


def test_only_kinds_whose_queries_differ_in_their_cores_alone_have_coordinates():
    def has(**options):
        return zojax.factored(2, **options).subspace is not None

    kept = {"left_period": 3, "right_period": None}
    assert has(core="gaussian", **kept)
    assert has(core="gaussian", left="identity", right_period=3)
    assert not has(**kept)
    assert not has(core="gaussian", left_period=3)
    assert not has(core="gaussian", right="identity")
    assert zojax.gaussian().subspace is None


def bases(kinds, seed):
    """Parts as a state has them, of the kinds "haar" and "gaussian"."""
    rng = np.random.default_rng(seed)
    drawn = {}
    for side, kind, size in zip(("left", "right"), kinds, (5, 4), strict=True):
        part = rng.normal(size=(2, size, 2))
        if kind != "identity":
            drawn[side] = [np.float32(np.linalg.qr(part)[0] if kind == "haar" else part)]
    return drawn


@pytest.mark.parametrize(
    "kinds",
    [("haar", "identity"), ("identity", "gaussian"), ("gaussian", "haar"), ("haar", "haar")],
    ids="-".join,
)
def test_what_is_carried_over_is_the_nearest_in_the_new_basis(kinds):
    """L' x' R'ᵀ is the least-squares fit to L x Rᵀ. Counts stay as they are."""
    left, right = kinds
    sampler = make(left, "gaussian", right, left_period=4, right_period=4, at_refresh="project")
    inner = optax.chain(optax.trace(0.9), optax.scale_by_schedule(lambda count: 1.0))
    before, after = bases(kinds, 1), bases(kinds, 2)
    kept = sampler.subspace.init(inner, PARAMS)
    x = np.random.default_rng(3).normal(size=kept[0].trace["kernel"].shape)
    kept = jax.tree.map(lambda old: old + 5 if old.ndim == 0 else jnp.float32(x), kept)

    @jax.jit
    def enter(step):
        return sampler.subspace.enter(inner, kept, before, after, step, PARAMS)

    for step in (0, 3):  # nothing to carry over yet; within a period
        jax.tree.map(np.testing.assert_array_equal, enter(step), kept)
    moved = enter(4)
    assert moved[1].count == 5
    expected = x
    if "left" in before:
        expected = np.linalg.pinv(np.float64(after["left"][0])) @ before["left"][0] @ expected
    if "right" in before:
        change = np.linalg.pinv(np.float64(after["right"][0])) @ before["right"][0]
        expected = expected @ change.swapaxes(1, 2)
    assert np.abs(expected - x).max() > 0.1
    np.testing.assert_allclose(moved[0].trace["kernel"], expected, rtol=1e-4, atol=1e-5)


def test_projection_needs_cores_that_have_an_image():
    with pytest.raises(ValueError, match="at_refresh='project' needs core='gaussian', got core="):
        make("gaussian", "diagonal", "gaussian", at_refresh="project")
    with pytest.raises(
        ValueError, match="at_refresh must be one of reset, project, sketch, got 'keep'"
    ):
        make("gaussian", "gaussian", "gaussian", at_refresh="keep")
