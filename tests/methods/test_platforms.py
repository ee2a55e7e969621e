"""What runs on accelerators alone is run here on a CPU: the same step, by their branches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zojax

SAMPLERS = {
    "gaussian": zojax.gaussian(),
    "packed signs": zojax.rademacher(),
    "factored": zojax.factored(2),
    "blocks": zojax.blocks(zojax.gaussian()),
}
SHAPE, LAYERS = (128, 192), 2


@pytest.fixture
def platform(request, monkeypatch):
    """Has `jax.lax.platform_dependent` choose as on this platform."""

    def chosen(*args, default=None, **branches):
        return branches.get(request.param, default)(*args)

    monkeypatch.setattr(jax.lax, "platform_dependent", chosen)
    jax.clear_caches()
    yield request.param
    jax.clear_caches()


def step(sampler):
    """The update of some layers and a tied table, and the mean loss of the pair."""
    keys = jax.random.split(jax.random.key(1), LAYERS + 1)
    params = {f"layer {i}": 0.1 * jax.random.normal(keys[i], SHAPE) for i in range(LAYERS)}
    params["table"] = 0.1 * jax.random.normal(keys[-1], (400, SHAPE[0]))
    tokens = jnp.arange(24).reshape(4, 6) * 16

    def loss(params):
        x = params["table"][tokens].mean(1)
        for i in range(LAYERS):
            x = jnp.tanh(x @ params[f"layer {i}"])[:, : SHAPE[0]]
        return jnp.mean((x @ params["table"].T) ** 2)

    tx = zojax.mezo(1.0, jax.random.key(2), radius=0.1, sampler=sampler)
    return jax.jit(lambda params, state: tx.update(None, state, params, value_fn=loss))(
        params, tx.init(params)
    )


@pytest.fixture(scope="module")
def updates_of_cpus():
    """Sampler -> updates by the branches that are taken here."""
    return {name: step(sampler)[0] for name, sampler in SAMPLERS.items()}


@pytest.mark.parametrize("platform", ["tpu", "cuda"], indirect=True)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_step_is_the_same_by_the_branches_of_accelerators(name, updates_of_cpus, platform):
    updates, _ = step(SAMPLERS[name])
    expected = updates_of_cpus[name]
    scale = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    assert scale > 1e-3
    for leaf, other in zip(jax.tree.leaves(updates), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, other, atol=1e-4 * scale)
