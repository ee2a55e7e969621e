"""Fields of a state, read by name whatever the params are called."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zojax

NAMES = zojax.EstimateGradientState._fields
NAMED = {name: jnp.ones((4, 4)) for name in NAMES}
KEY = jax.random.key(3)
# Methods that store trees like params, or something for each matrix.
STORING = ("conmezo", "hizoo", "loren", "lozo", "mezo_adam", "r_adazo", "tezo", "zo_adamm")


def loss(params):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("name", STORING)
def test_no_param_hides_a_field(name):
    options = {"rank": 2} if name in ("lozo", "tezo") else {}
    tx = getattr(zojax, name)(1e-3, KEY, **options)
    state = tx.init(NAMED)
    assert zojax.state_field(state, "key") == KEY
    assert zojax.state_field(state, "count") == 0
    _, after = jax.jit(lambda state: tx.update(None, state, NAMED, value_fn=loss))(state)
    assert zojax.state_field(after, "count") == 1
    assert zojax.state_field(after, "num_evaluations") > 0
    assert np.isclose(zojax.state_field(after, "value"), loss(NAMED), rtol=0.1)


def test_fields_of_other_links_are_found():
    tx = zojax.stay_below_edge(zojax.mezo(1e-3, KEY), KEY, 1e-3)
    state = tx.init({"trace": jnp.ones(3)})
    assert zojax.state_field(state, "trace") == 0
    assert zojax.state_field(state, "mean") is None
    assert zojax.state_field(state, "mean", 5) == 5
    assert zojax.state_field(optax.adam(1e-3).init(NAMED), "count") == 0


def test_of_two_estimates_none_is_taken():
    tx = optax.chain(zojax.mezo(1e-3, KEY), zojax.mezo(1e-3, KEY))
    with pytest.raises(KeyError, match="value: 2 estimates"):
        zojax.state_field(tx.init(jnp.ones(2)), "value")
