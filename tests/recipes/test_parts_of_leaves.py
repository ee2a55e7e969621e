"""A part of a leaf has the noise that it has in the whole leaf."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax
from tests.compiling import AS_USERS_HAVE
from zojax.noise import RADEMACHER, gaussian_law
from zojax.samplers import DiagonalState, Means

PARAMS = jnp.zeros((4, 3, 6))
LENGTHS = PARAMS.shape
VIEWS = {
    "batch": zojax.MatrixView(rows=(1,), columns=(2,), batch=(0,)),
    "in": zojax.MatrixView(rows=(0,), columns=(1, 2)),
    "out": zojax.MatrixView(rows=(0, 1), columns=(2,)),
    "turned": zojax.MatrixView(rows=(2, 0), columns=(1,)),
}
SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "rademacher": zojax.rademacher(),
    "diagonal": zojax.diagonal(0.1)._replace(
        init=lambda x: DiagonalState(jnp.linspace(0.5, 4.0, x.size).reshape(x.shape))
    ),
    "diagonal of means": zojax.diagonal(0.1, views=zojax.samplers.last_two_axes)._replace(
        init=lambda x: DiagonalState(
            Means(*(jnp.linspace(0.5, 4.0, 4 * n).reshape(4, n) for n in (3, 6)))
        )
    ),
    "flipped": zojax.flipped(),
    **{
        f"factored {name}": zojax.factored(2, views=lambda path, leaf, view=view: view)
        for name, view in VIEWS.items()
    },
}


INDEX = jnp.array([[2, 0], [1, 1]])


def parts(recipe, z):
    """(what, a part drawn by itself, the same part of the whole z)."""
    datum = jnp.zeros(())
    for order in ((0, 2, 1), (1, 0, 2), (2, 0, 1)):
        whole = z.transpose(order)
        yield f"transpose {order}", recipe.transpose(order).draw(whole.shape), whole
    for axis in range(3):
        for what, cut, entries in (
            ("slice", recipe.slice(axis, jnp.int32(1), 2), [1, 2]),
            ("strided slice", recipe.slice(axis, 0, 2, step=2), [0, 2]),
        ):
            if cut is not None:
                whole = jnp.take(z, jnp.array(entries), axis)
                yield f"{what} {axis}", cut.draw(whole.shape), whole
                first = cut.slice(axis, 1, 1).squeeze(axis)
                whole = jnp.take(z, entries[1], axis)
                yield f"entry of {what} {axis}", first.draw(whole.shape), whole
        taken = recipe.draw_taken(axis, INDEX, LENGTHS, datum)
        if taken is not None:
            yield f"taken {axis}", taken, jnp.moveaxis(z, axis, 0)[INDEX]
        halves = recipe.split(axis, LENGTHS[axis] // 2) if LENGTHS[axis] % 2 == 0 else None
        if halves is not None:
            whole = z.reshape(*LENGTHS[:axis], 2, LENGTHS[axis] // 2, *LENGTHS[axis + 1 :])
            yield f"split {axis}", halves.draw(whole.shape), whole
            if (second := halves.slice(axis, jnp.int32(1), 1)) is not None:
                whole = whole.take(1, axis)
                yield f"half {axis}", second.squeeze(axis).draw(whole.shape), whole
    for axis in range(4):
        whole = jnp.expand_dims(z, axis)
        yield f"expand {axis}", recipe.expand(axis).draw(whole.shape), whole
    stack = recipe.unstack(LENGTHS[0])
    if stack is not None:
        yield "unstack", jax.vmap(lambda one: one.draw(LENGTHS[1:]))(stack), z
    yield "drawn late", recipe.draw(LENGTHS, datum), z


@pytest.mark.parametrize("name", SAMPLERS)
def test_parts_equal_the_same_part_of_the_whole(name, key):
    """Bit by bit for rows; of factors, a sum of two products may be rounded once less.

    Of noise over a root, a product of three numbers may be rounded in another order.
    """
    sampler = SAMPLERS[name]
    directions, _ = sampler.draw(sampler.init(PARAMS), key, jnp.int32(0), 1, PARAMS)
    (recipe,) = jax.tree.map(lambda array: array[0], directions)

    @jax.jit
    def run(recipe, z):
        return {what: pair for what, *pair in parts(recipe, z)}

    compared = run(recipe, recipe.draw(LENGTHS))
    assert len(compared) >= 17
    for what, (part, whole) in compared.items():
        atol = 1e-6 if "factored" in name or "diagonal" in name else 0
        np.testing.assert_allclose(part, whole, rtol=0, atol=atol, err_msg=what)


@pytest.mark.parametrize("law", [gaussian_law(8), RADEMACHER], ids=["gaussian", "packed signs"])
def test_a_part_of_rows_is_drawn_by_itself(law, key):
    """From any entry on, in and across words of 32 signs, and a part of a part; also in a scan."""
    rows = zojax.Dense.of((2, 3, 150), key, law)
    part = rows.slice(2, 5, 140)

    @functools.partial(jax.jit, compiler_options=AS_USERS_HAVE)
    def run(firsts):
        def step(carry, stacked):
            first, one = stacked
            return carry, one.slice(1, first, 70).draw((3, 70), carry)

        parts = jax.vmap(lambda first: part.slice(2, first, 70).draw((2, 3, 70)))(firsts)
        single = jax.vmap(lambda first: rows.slice(2, first, 1).squeeze(2).draw((2, 3)))(firsts)
        layers = jax.lax.scan(step, jnp.zeros(()), (firsts[:2], part.unstack(2)))[1]
        return rows.draw((2, 3, 150)), parts, single, layers

    firsts = [0, 1, 26, 27, 28, 63, 70]
    whole, parts, single, layers = run(jnp.array(firsts))
    for first, one, entry in zip(firsts, parts, single, strict=True):
        np.testing.assert_array_equal(one, whole[:, :, 5 + first : 75 + first])
        np.testing.assert_array_equal(entry, whole[:, :, first])
    for layer, first in enumerate(firsts[:2]):
        np.testing.assert_array_equal(layers[layer], whole[layer, :, 5 + first : 75 + first])


def test_a_cut_through_rows_may_have_no_recipe():
    """Where a generator draws a row from its beginning, or entries with gaps are meant."""
    rows = zojax.Dense.of(LENGTHS, jax.random.key(0, impl="rbg"), gaussian_law(8))
    assert rows.slice(2, 0, 3) is None
    assert rows.grains == (8, 8, 0)
    rows = zojax.Dense.of(LENGTHS, jax.random.key(0, impl="threefry2x32"), gaussian_law(8))
    assert rows.slice(2, 0, 3, step=2) is None
    assert rows.draw_taken(2, jnp.array([0]), LENGTHS, jnp.zeros(())) is None
    assert rows.transpose((2, 0, 1)).unstack(6) is None


def test_a_stack_in_a_scan_draws_what_the_whole_draws(key):
    """One layer at a time, as a scanned model meets its weights."""
    rows = zojax.Dense.of(LENGTHS, key, RADEMACHER)

    @jax.jit
    def run():
        def step(carry, one):
            return carry, one.draw(LENGTHS[1:], carry)

        return jax.lax.scan(step, jnp.zeros(()), rows.unstack(LENGTHS[0]))[1]

    np.testing.assert_array_equal(run(), rows.draw(LENGTHS))
