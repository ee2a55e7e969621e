"""AdamW on gradients, the reference row of the main job."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import _first_order
from experiments.finetune import Settings, finetune
from zojax import lora, models
from zojax.training import make_step

TARGET = jnp.array([1.0, -2.0, 3.0])


def distance(params, scale):
    return scale * jnp.sum((params - TARGET) ** 2)


def test_updates_are_those_of_adamw_on_the_gradient():
    params = jnp.zeros(3)
    step = make_step(_first_order.adamw(0.1), distance)
    actual, state = params.copy(), jax.jit(_first_order.adamw(0.1).init)(params)
    expected, reference = params, optax.adamw(0.1)
    memory = reference.init(params)
    for scale in (1.0, 0.5, 2.0):
        updates, memory = reference.update(2 * scale * (expected - TARGET), memory, expected)
        value = distance(expected, scale)
        expected = optax.apply_updates(expected, updates)
        actual, state, measured = step(actual, state, scale=scale)
        np.testing.assert_allclose(measured["value"], value, rtol=1e-6)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert measured["num_evaluations"] == 9  # three gradients, each worth three losses


def test_what_is_not_finite_is_counted_and_changes_nothing():
    params = jnp.array([0.5, -0.0, 2.0])
    step = make_step(_first_order.adamw(0.1), distance)
    state = jax.jit(_first_order.adamw(0.1).init)(params)
    actual, state, measured = step(params.copy(), state, scale=jnp.nan)
    assert np.asarray(actual).tobytes() == np.asarray(params).tobytes()
    assert measured["num_nonfinite"] == 1
    actual, state, measured = step(actual, state, scale=1.0)
    assert np.isfinite(actual).all()
    assert not np.array_equal(actual, params)


def test_it_trains_an_adapter_in_the_main_job(model_folder, task_folder, tmp_path):
    settings = Settings(
        model=str(model_folder),
        task=str(task_folder),
        method="adamw",
        adapter="lora",
        rank=2,
        learning_rate=0.03,
        steps=20,
        batch_size=6,
        eval_every=20,
        out=tmp_path / "run",
    )
    result = finetune(settings)
    assert result.loss_evaluations == 60
    assert result.loss_after < result.loss_before
    assert result.memory_over_inference > 1  # activations of all layers are kept
    model = models.from_pretrained(settings.out / "model")
    loaded = lora.load_peft(models.from_pretrained(model_folder), settings.out / "adapter")
    ids = jnp.array([[1, 4, 5, 6, 9]])
    np.testing.assert_allclose(model(ids), loaded(ids), rtol=1e-5, atol=1e-6)
