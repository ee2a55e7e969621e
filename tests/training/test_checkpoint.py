"""Checkpoints come back bit by bit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zojax.training import Checkpoints


class State(NamedTuple):
    """Fields in another order than that of the alphabet, in which orbax keeps them."""

    key: jax.Array
    count: jax.Array
    moments: dict
    nothing: tuple


@pytest.fixture
def params():
    weights = jnp.linspace(-1, 1, 6).reshape(2, 3)
    return {"layer": {"kernel": weights, "bias": weights[0].astype(jnp.bfloat16)}}


@pytest.fixture
def state(params):
    key = jax.random.key(7)
    return (
        State(key, jnp.int32(4), {"mu": params["layer"]["kernel"] / 3}, ()),
        State(key, jnp.int32(4), {}, ()),
    )


def words(leaf):
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def assert_identical(actual, expected):
    def check(x, y):
        assert x.dtype == y.dtype
        assert np.asarray(words(x)).tobytes() == np.asarray(words(y)).tobytes()

    jax.tree.map(check, actual, expected)


def test_both_trees_come_back_bit_by_bit_in_another_process_s_manager(tmp_path, params, state):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, params, state, loss=0.5)
    abstract = jax.eval_shape(lambda: (params, state))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step == 3
        restored = checkpoints.restore(3, params=abstract[0], state=abstract[1])
    assert_identical(restored, [params, state])


def test_donated_params_do_not_spoil_a_checkpoint(tmp_path, params):
    overwrite = jax.jit(lambda tree: jax.tree.map(jnp.zeros_like, tree), donate_argnums=0)
    expected = jax.tree.map(jnp.copy, params)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, params, {"count": jnp.zeros(())}, loss=0.5)
        zeros = overwrite(params)
        (restored,) = checkpoints.restore(1, params=zeros)
    assert_identical(restored, expected)


def test_the_latest_and_the_best_are_kept(tmp_path, params):
    state = {"count": jnp.zeros(())}
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step is None
        assert checkpoints.best_loss == float("inf")
        for step, loss in ((1, 0.4), (2, 0.2), (3, 0.5), (4, float("nan")), (5, 0.3)):
            checkpoints.save(step, params, state, loss=loss)
        assert (checkpoints.best_step, checkpoints.latest_step) == (2, 5)
        assert checkpoints.best_loss == 0.2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "4", "5"]


def test_more_of_the_latest_and_the_best_are_kept_on_demand(tmp_path, params):
    with Checkpoints(tmp_path, keep_last=3, keep_best=2) as checkpoints:
        for step in range(1, 8):
            checkpoints.save(step, params, {"count": jnp.zeros(())}, loss=step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "5", "6", "7"]
    with pytest.raises(ValueError, match="keep_last must be at least 2; got 1"):
        Checkpoints(tmp_path, keep_last=1)
    with pytest.raises(ValueError, match="keep_best must be at least 1; got 0"):
        Checkpoints(tmp_path, keep_best=0)


def test_other_leaves_or_shapes_are_refused(tmp_path, params):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, params, {"count": jnp.zeros(())}, loss=0.5)
        with pytest.raises(ValueError, match=r"params: .* same leaves; only one .*\['other'\]"):
            checkpoints.restore(1, params={"other": params["layer"]})
        with pytest.raises(ValueError, match=r"\['bias'\] has shape \(3,\) .* but \(2,\)"):
            checkpoints.restore(1, params=jax.tree.map(lambda x: x[..., :2], params))
