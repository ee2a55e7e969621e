"""Pictures: reading, resizing, normalizing, and scikit-learn's digits."""

import io

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import tasks
from experiments.tasks._image_encoding import to_pixels

RED = np.zeros((4, 4, 3), np.uint8)
RED[..., 0] = 255


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "picture",
    [RED, RED.tolist(), Image.fromarray(RED), {"bytes": png(RED), "path": None}],
    ids=["array", "lists", "pil", "bytes"],
)
def test_pictures_come_in_several_forms(picture):
    np.testing.assert_array_equal(to_pixels(picture), RED)


def test_gray_pictures_have_one_channel():
    assert to_pixels(RED[..., 0]).shape == (4, 4, 1)
    assert to_pixels(Image.fromarray(RED[..., 0])).shape == (4, 4, 1)


@pytest.mark.parametrize("picture", ["a.png", None, [[0, 256]], [1, 2], np.zeros((2, 2, 4))])
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(ValueError, match="a picture must"):
        to_pixels(picture)


def encode(pixels, form):
    examples = [tasks.ImageExample(pixels, 3)]
    return tasks.Images(10).encode(form, {"train": examples}, max_length=None)["train"]


def test_values_are_normalized_by_channel_and_channels_come_first():
    form = tasks.ImageFormat(4, 3, mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 2.0))
    batch = encode(RED, form).batch([0, 0])
    assert batch["pixel_values"].shape == (2, 3, 4, 4)
    assert batch["pixel_values"].dtype == np.float32
    for channel, value in enumerate((1.0, -0.5, 0.0)):
        np.testing.assert_allclose(batch["pixel_values"][:, channel], value)
    np.testing.assert_array_equal(batch["labels"], [3, 3])


def test_pictures_get_the_size_and_channels_of_the_model():
    gray = np.full((8, 8, 1), 51, np.uint8)
    batch = encode(gray, tasks.ImageFormat(2, 3, (0.0,), (1.0,))).batch([0])
    np.testing.assert_allclose(batch["pixel_values"], np.full((1, 3, 2, 2), 0.2), rtol=1e-6)
    batch = encode(RED, tasks.ImageFormat(6, 1, (0.0,), (1.0,))).batch([0])
    # The luma of red is 0.299.
    np.testing.assert_allclose(batch["pixel_values"], np.full((1, 1, 6, 6), 76 / 255), rtol=1e-6)


def test_the_format_is_read_from_a_preprocessor_config():
    config = {"size": {"height": 32, "width": 32}, "image_mean": [0.1] * 3, "image_std": [0.2] * 3}
    form = tasks.ImageFormat.of_config(config)
    assert form == tasks.ImageFormat(32, 3, (0.1,) * 3, (0.2,) * 3)
    plain = tasks.ImageFormat.of_config({"size": 16, "do_normalize": False}, channels=1)
    assert plain == tasks.ImageFormat(16, 1, (0.0,), (1.0,))
    with pytest.raises(ValueError, match="size must be a square"):
        tasks.ImageFormat.of_config({"size": {"shortest_edge": 224}})
    with pytest.raises(ValueError, match="mean must have one number or one for each of the 1"):
        tasks.ImageFormat(8, 1, mean=(0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="channels 1 or 3; got 8 and 4"):
        tasks.ImageFormat(8, 4)


def test_digits_are_real_and_come_without_a_download():
    task, splits = tasks.load_task("digits")
    assert [len(split) for split in splits.values()] == [1000, 297, 500]
    encoded = tasks.encode_splits(tasks.ImageFormat(8, 1), splits, max_length=0, task=task)
    batch = encoded["test"].batch(range(500))
    assert batch["pixel_values"].shape == (500, 1, 8, 8)
    assert (batch["pixel_values"].min(), batch["pixel_values"].max()) == (-1, 1)
    # Nearest centers of classes, from other writers' digits, are right nearly always.
    train = encoded["train"].batch(range(1000))
    flat, labels = train["pixel_values"].reshape(1000, -1), train["labels"]
    centers = jnp.array([flat[labels == label].mean(0) for label in range(10)])

    def nearest(centers, batch):
        pixels = batch["pixel_values"].reshape(len(batch["labels"]), -1)
        return -((pixels[:, None] - centers) ** 2).sum(-1)

    evaluation = tasks.evaluate(nearest, centers, encoded["test"], task, batch_size=128)
    assert evaluation.score > 0.8
    loss = tasks.image_loss(
        lambda pixels: nearest(centers, {**batch, "pixel_values": pixels}), batch
    )
    np.testing.assert_allclose(evaluation.loss, loss, rtol=1e-5)


def test_a_class_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r'"fine_label" must be one of .* got 100'):
        tasks.TASKS["cifar100"].example({"img": RED, "fine_label": 100, "coarse_label": 0})
