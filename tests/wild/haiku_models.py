"""Of dm-haiku: the transformer of its examples, and a ResNet with the state of its norms."""

import importlib.metadata
import importlib.util
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from wild_model import Model, Size, next_token_loss


def haiku_transformer(size: Size) -> Model:
    """The language model that haiku ships as an example."""
    import haiku as hk

    example = _example("transformer/model.py")

    def forward(tokens: jax.Array) -> jax.Array:
        transformer = example.Transformer(
            num_heads=size.heads,
            num_layers=size.layers,
            attn_size=size.width // size.heads,
            dropout_rate=0.0,
        )
        model = example.LanguageModel(transformer, size.width, size.vocabulary, pad_token=-1)
        return model(tokens)

    init, apply = hk.transform(forward)
    tokens = size.tokens()

    def loss(params: Any, batch: jax.Array, held: jax.Array) -> jax.Array:
        return next_token_loss(apply(params, held, batch), batch)

    return Model(jax.jit(init)(jax.random.key(0), tokens), loss, tokens, jax.random.key(2))


def haiku_resnet(size: Size) -> Model:
    """As many residual blocks as `size` has layers; norms by the batch, whose state is held.

    Of 8 blocks and width 256 it is ResNet-18, as it is made for images of 32 x 32.
    """
    import haiku as hk

    blocks = [size.layers // 4 + (group < size.layers % 4) for group in range(4)]
    channels = [size.width // 4, size.width // 2, size.width, 2 * size.width]

    def forward(images: jax.Array) -> jax.Array:
        net = hk.nets.ResNet(
            [max(number, 1) for number in blocks],
            num_classes=10,
            bottleneck=False,
            channels_per_group=channels,
            strides=(1, 2, 1, 1),  # so that each norm sees more than a few numbers
            logits_config={"w_init": None},
            initial_conv_config={"output_channels": channels[0], "kernel_shape": 3, "stride": 1},
        )
        return net(images, is_training=True)

    init, apply = hk.transform_with_state(forward)
    side = 32 if size.width > 64 else 16
    images = jax.random.normal(jax.random.key(1), (size.batch, side, side, 3))
    labels = jnp.arange(size.batch) % 10

    def loss(params: Any, batch: Any, held: Any) -> jax.Array:
        images, labels = batch
        logits, _ = apply(params, held, None, images)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], -1).mean()

    params, state = jax.jit(init)(jax.random.key(0), images)
    return Model(params, loss, (images, labels), state)


def _example(path: str) -> ModuleType:
    """A file of the examples, by its place: their package has a name that others have too."""
    file = importlib.metadata.distribution("dm-haiku").locate_file(f"examples/{path}")
    spec = importlib.util.spec_from_file_location("haiku_example", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
