"""Each rule gives the value of the perturbed leaf, and draws no more than it says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rule_cases import CALLS, CONTRACTIONS, CONVOLUTIONS, FALLBACKS, GATHERS, STRUCTURE, data

import zojax

GROUPS = {
    "contractions": CONTRACTIONS,
    "convolutions": CONVOLUTIONS,
    "structure": STRUCTURE,
    "gathers": GATHERS,
    "calls": CALLS,
    "fallbacks": FALLBACKS,
}
LAZY = {**CONTRACTIONS, **CONVOLUTIONS, **STRUCTURE, **GATHERS, **CALLS}
LAWS = {"rademacher": zojax.rademacher(), "rank_1": zojax.factored(1)}
RADIUS = jnp.array([0.25, -0.25])


def outputs(functions, leaves, law, **how):
    """What each function returns for its leaf at the two points, through `aux`."""

    def value_fn(leaves):
        return jnp.float32(0), {name: functions[name](leaf) for name, leaf in leaves.items()}

    sampler, key = LAWS[law], jax.random.key(3)
    directions, _ = sampler.draw(sampler.init(leaves), key, jnp.int32(0), 1, leaves)
    _, aux = zojax.evaluate(value_fn, leaves, directions, RADIUS, has_aux=True, **how)
    return aux


@functools.partial(
    jax.jit, static_argnums=(0, 2), compiler_options={"xla_backend_optimization_level": 0}
)
def both(group, leaves, law):
    functions = {name: GROUPS[group][name].function for name in leaves}
    lazy = outputs(functions, leaves, law)
    return lazy, outputs(functions, leaves, law, materialize=True)


def leaf_of(case):
    return data(*case.shape).astype(case.dtype)


def assert_close(lazy, dense, name, **tolerance):
    for a, b in zip(jax.tree.leaves(lazy), jax.tree.leaves(dense), strict=True):
        assert a.dtype == b.dtype, name
        np.testing.assert_allclose(np.float64(a), np.float64(b), err_msg=name, **tolerance)


@pytest.mark.parametrize("group", GROUPS)
def test_values_are_those_of_the_perturbed_leaf(group):
    """Numbers are of order 1, sums of some ten of them: a few roundings of 1.2e-7.

    base + radius z is formed in float32 and cast once, then as the loss asks: also what is cast to
    bfloat16 agrees to that precision, but for sums that round to the other neighbor.
    """
    leaves = {name: leaf_of(case) for name, case in GROUPS[group].items()}
    lazy, dense = both(group, leaves, "rademacher")
    for name in leaves:
        assert_close(lazy[name], dense[name], name, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("group", GROUPS)
def test_values_along_factored_directions(group):
    """As above; base and low rank part are contracted apart, and bfloat16 rounds the base alone."""
    cases = {name: case for name, case in GROUPS[group].items() if case.shape != ()}
    leaves = {name: leaf_of(case) for name, case in cases.items()}
    lazy, dense = both(group, leaves, "rank_1")
    for name in leaves:
        low = cases[name].dtype == jnp.bfloat16 or name == "cast_down_and_up"
        assert_close(lazy[name], dense[name], name, rtol=5e-6, atol=5e-2 if low else 5e-6)


@pytest.mark.parametrize("name", LAZY)
def test_no_more_is_drawn_than_is_met(name, drawn):
    case = LAZY[name]
    functions, leaves = {name: case.function}, {name: leaf_of(case)}
    jax.eval_shape(lambda leaves: outputs(functions, leaves, "rademacher"), leaves)
    assert drawn.fallbacks == []
    assert max(drawn.entries, default=0) <= case.entries  # a short vector is drawn beforehand


MATRICES = [
    name for name, case in {**CONTRACTIONS, **STRUCTURE, **CALLS}.items() if len(case.shape) > 1
]


@pytest.mark.parametrize("name", MATRICES)
def test_a_factored_direction_is_never_multiplied_out(name, drawn):
    case = LAZY[name]
    functions, leaves = {name: case.function}, {name: leaf_of(case)}
    jax.eval_shape(lambda leaves: outputs(functions, leaves, "rank_1"), leaves)
    assert drawn.fallbacks == []
    assert drawn.entries == []


def _kernel_as_a_matrix(path, leaf):
    """The output's features of the kernels above are its longest axis."""
    features = leaf.shape.index(max(leaf.shape))
    others = tuple(axis for axis in range(leaf.ndim) if axis != features)
    return zojax.MatrixView(rows=others, columns=(features,))


def _turned(path, leaf):
    view = _kernel_as_a_matrix(path, leaf)
    return view._replace(rows=view.columns, columns=view.rows)


@pytest.mark.parametrize("views", [_kernel_as_a_matrix, _turned])
def test_a_kernel_that_is_one_matrix_is_never_multiplied_out(views, drawn, monkeypatch):
    """Its images go through the rank."""
    law = views.__name__
    monkeypatch.setitem(LAWS, law, zojax.factored(2, views=views))
    leaves = {name: leaf_of(case) for name, case in CONVOLUTIONS.items()}
    functions = {name: case.function for name, case in CONVOLUTIONS.items()}
    jax.eval_shape(lambda leaves: outputs(functions, leaves, law), leaves)
    assert drawn.fallbacks == []
    assert drawn.entries == []
    lazy, dense = both("convolutions", leaves, law)
    for name, leaf in leaves.items():
        atol = 5e-2 if leaf.dtype == jnp.bfloat16 else 5e-6
        assert_close(lazy[name], dense[name], name, rtol=5e-6, atol=atol)


def test_custom_derivatives_are_taken_out(drawn):
    """Their functions would get drawn arrays; a forward evaluation needs no derivative."""

    @jax.custom_jvp
    def with_jvp(w, x):
        return jnp.sin(x @ w)

    with_jvp.defjvp(lambda primals, tangents: (with_jvp(*primals), tangents[1]))

    @jax.custom_vjp
    def with_vjp(w, x):
        return jnp.cos(x @ w)

    with_vjp.defvjp(lambda w, x: (with_vjp(w, x), None), lambda _, g: (g, g))
    functions = {"jvp": lambda w: with_jvp(w, data(5, 6)), "vjp": lambda w: with_vjp(w, data(5, 6))}
    leaves = {name: data(6, 4) for name in functions}

    lazy = jax.jit(lambda leaves: outputs(functions, leaves, "rademacher"))(leaves)
    assert drawn.fallbacks == []
    dense = outputs(functions, leaves, "rademacher", materialize=True)
    for name in functions:
        assert_close(lazy[name], dense[name], name, rtol=2e-6, atol=2e-6)


def test_wide_params_are_perturbed_in_their_own_precision():
    """float64: what is lazy agrees to 1e-13, so the base never passes through float32.

    LowRank are float32, and multiplied out they are rounded to it: radius z then has an error of
    6e-8 in the reference.
    """
    with jax.enable_x64(True):
        leaves = {"w": data(6, 4).astype(jnp.float64)}
        x = jnp.cos(jnp.arange(30, dtype=jnp.float64)).reshape(5, 6)
        for law, tolerance in {"rademacher": 1e-13, "rank_1": 1e-6}.items():
            evaluate = functools.partial(outputs, {"w": lambda w: x @ w}, leaves, law)
            lazy, dense = jax.jit(
                lambda evaluate=evaluate: (evaluate(), evaluate(materialize=True))
            )()
            assert lazy["w"].dtype == jnp.float64
            assert_close(lazy["w"], dense["w"], law, rtol=tolerance, atol=tolerance)
