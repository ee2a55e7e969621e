"""The small vision transformer that comparisons train, and its task."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import tasks
from experiments._images import image_format
from experiments._methods import METHODS
from experiments._settings import Settings
from experiments.finetune import finetune
from experiments.papers.digits import halves, pretrained
from experiments.pretrain import digits
from zojax import models
from zojax.training import read_seed_log


@pytest.fixture(scope="module")
def taught():
    return pretrained(16, 1)


@pytest.fixture(scope="module")
def folder(taught, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    digits.save_model(taught, folder)
    return folder


def test_the_layers_are_taught_and_the_classifier_is_zero(taught, folder):
    model = models.from_pretrained(folder)
    images = halves()[0]["test"].images[:3]
    assert np.array_equal(model(images), jnp.zeros((3, 10)))
    model.classifier.kernel[...] = jnp.pad(taught.classifier.kernel[...], ((0, 0), (0, 5)))
    model.classifier.bias[...] = jnp.pad(taught.classifier.bias[...], (0, 5))
    np.testing.assert_allclose(model(images)[:, :5], taught(images), rtol=1e-5, atol=1e-5)


def test_the_task_has_the_digits_from_five_on_as_the_model_wants_them(folder, tmp_path):
    digits.save_task(tmp_path)
    task, splits = tasks.load_task(f"digits@{tmp_path}")
    form = image_format(str(folder), models.from_pretrained(folder))
    encoded = tasks.encode_splits(form, splits, max_length=0, task=task)
    test, given = halves()[1]["test"], encoded["test"]
    pictures, batch = len(test.labels), given.batch(range(len(given.labels)))
    assert np.array_equal(np.sort(batch["labels"]), np.sort(test.labels + 5))
    # A gray value of the scan, 0 to 16, is rounded to one of 256.
    sums = [
        np.sort(images.reshape(pictures, -1).sum(1))
        for images in (batch["pixel_values"], test.images)
    ]
    np.testing.assert_allclose(*sums, atol=64 / 255)
    assert {name: len(split.labels) for name, split in encoded.items()} == {
        "train": 375,
        "validation": 297,
        "test": 224,
    }


@pytest.mark.parametrize("method", ["mezo_adam", "hizoo"])
def test_methods_with_moments_train_layers_called_key_and_value(folder, tmp_path, method):
    """Whose names are those of fields that the run reads from the state."""
    digits.save_task(tmp_path / "data")
    result = finetune(
        Settings(
            model=str(folder),
            task=f"digits@{tmp_path / 'data'}",
            method=method,
            steps=2,
            num_test=8,
            num_dev=8,
            out=tmp_path / "run",
        )
    )
    assert result.loss_evaluations == 2 * METHODS[method].evaluations(1)
    assert len(read_seed_log(tmp_path / "run" / "seed_log.bin").losses) == 2
