"""SPSA is Spall's loop, and MeZO along signs without its gains."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax
from tests.methods import taped
from tests.reference.spsa import spsa as reference


def test_eight_steps_equal_the_papers_loop(key):
    """Fed the same signs; the radius is wide, so that it shows which one a step has."""
    gains = {"stability": 2.0, "alpha": 0.602, "gamma": 0.4}
    tx = zojax.spsa(0.3, key, radius=0.5, **gains)
    look = lambda directions, kept, step: taped.dense(directions)  # noqa: E731
    got = taped.run(tx, zojax.rademacher(), key, look)
    signs = [taped.queries(z)[0] for z in got.tape]
    expected = reference(
        lambda x: taped.network(x, np), taped.START, signs, a=0.3 * 3**0.602, c=0.5, **gains
    )
    taped.assert_close(got.x, expected)
    assert optax.tree.get(got.state, "num_evaluations") == 16


def test_without_gains_it_is_mezo_along_signs(key):
    x = {"b": jnp.linspace(-1.0, 1.0, 3), "w": jnp.ones((4, 3))}
    methods = (
        zojax.mezo(0.05, key, radius=0.25, sampler=zojax.rademacher()),
        zojax.spsa(0.05, key, radius=0.25, alpha=0.0, gamma=0.0),
    )

    @jax.jit
    def first_updates():
        loss = lambda x: sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(x))  # noqa: E731
        return [tx.update(None, tx.init(x), x, value_fn=loss)[0] for tx in methods]

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *first_updates())


@pytest.mark.parametrize("name", ["stability", "alpha", "gamma"])
def test_numbers_out_of_range_are_refused(name, key):
    with pytest.raises(ValueError, match=rf"{name} must be a finite number of at least 0, got -1"):
        zojax.spsa(0.1, key, **{name: -1.0})
