"""ViT as a Flax NNX module.

An image is cut into n patches; x_j are the pixels of patch j, channels before rows before columns.
With a linear map E, e of patches, a class token c and position embeddings P:

    h_0 = c + P_0,    h_j = x_j E + e + P_j                                                   (1)
    h ← h + attention(norm(h)),    h ← h + act(norm(h) W₁ + b₁) W₂ + b₂                      (2)
    features = norm(h),    logits = features_0 K + k                                         (3)

All positions see all others. The class token's features alone are classified; the pooler that some
files hold (a further map of those features, for other tasks) is left out.

Images are (batch, channels, height, width), as Hugging Face's image processors give them, already
scaled by them. Their size is that of the config: position embeddings are not interpolated.

The layers are one `Layer` whose parameters carry a leading axis, run by `jax.lax.scan`. Activations
have the dtype of the weights; norms, the softmax and the logits are computed in float32. There is
no dropout: the model is a deterministic function of its parameters.

Three tensors have another shape here than in the files, so that what is a matrix or a vector looks
like one (to low-rank directions, to LoRA): the map of the patches is (channels · height · width,
hidden_size), a convolution's kernel there; P is (1 + n, hidden_size) and c is (hidden_size,), with
leading axes of length 1 there.

Reference: Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at
Scale", arXiv:2010.11929. Names of settings, modules and tensors are those of the Hugging Face
files; transformers 5 calls some modules otherwise in memory, which is how PEFT's adapters for it
name them.
"""

import functools
import os
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from zojax.models import _heads, _parts, _save, _vit_layers
from zojax.models._attention import Memory, Sight
from zojax.models._format import Format
from zojax.models._heads import Head
from zojax.models._vit_config import ViTConfig

# What the files call a module, and what transformers 5 calls it; the longer of two ends first.
_RENAMED = (
    ("encoder.layer.", "layers."),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)


def _tensor_name(path: tuple[str, ...]) -> str:
    """From ("layers", "output", "dense", "bias") to "vit.encoder.layer.{}.output.dense.bias"."""
    *modules, leaf = path
    name = ".".join([*modules, "weight" if leaf in ("kernel", "scale") else leaf])
    if modules[0] == "classifier":
        return name
    return "vit." + name.replace("layers.", "encoder.layer.{}.", 1)


def _file_shape(
    config: ViTConfig, path: tuple[str, ...], shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The three tensors that the module's docstring names."""
    if path[-1] == "cls_token":
        return (1, 1, *shape)
    if path[-1] == "position_embeddings":
        return (1, *shape)
    if path[-2:] == ("projection", "kernel"):
        return (shape[0], config.num_channels, *config.patch_shape)
    return shape


class ViT(nnx.Module):
    """A model of the ViT family.

    Attributes:
      config: the settings, a `ViTConfig`.
      head: "classifier" (a linear map of the features of the class token) or None.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from zojax.models import ViT, ViTConfig
      >>> config = ViTConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
      ...                    intermediate_size=16, image_size=8, patch_size=2, num_channels=1)
      >>> model = ViT(config, rngs=nnx.Rngs(0))
      >>> graphdef, params = nnx.split(model, nnx.Param)
      >>> params["layers"]["intermediate"]["dense"]["kernel"].shape
      (2, 8, 16)
      >>> nnx.merge(graphdef, params)(jnp.zeros((3, 1, 8, 8))).shape
      (3, 2)
    """

    config_class = ViTConfig
    architectures: ClassVar = {"classifier": "ViTForImageClassification", None: "ViTModel"}

    def __init__(
        self,
        config: ViTConfig,
        *,
        head: Head | None = "classifier",
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        """Draws new weights: all from N(0, initializer_range²) but norms, and biases, zero.

        Args:
          config: the settings.
          head: what a call returns; see above.
          dtype: the dtype of the weights.
          rngs: the source of randomness.

        Raises:
          ValueError: for an unknown head or activation function.
        """
        _heads.check(self.architectures, head)
        self.config, self.head = config, head
        kwargs = {"dtype": dtype, "rngs": rngs}
        self.embeddings = _vit_layers.Embeddings(config, **kwargs)
        self.layers = _parts.stack(
            lambda rngs: _vit_layers.Layer(config, dtype=dtype, rngs=rngs),
            config.num_hidden_layers,
            rngs,
        )
        self.layernorm = _vit_layers.layer_norm(config, **kwargs)
        linear = _parts.linear_maker(config.initializer_range, use_bias=True, **kwargs)
        classifies = head == "classifier"
        self.classifier = linear(config.hidden_size, len(config.labels)) if classifies else None

    @property
    def checkpoint_format(self) -> Format:
        """How Hugging Face's files name the parameters."""
        return Format(
            architecture=self.architectures[self.head],
            prefix="vit.",
            bare=self.head is None,
            tensor_name=_tensor_name,
            new=("classifier",),
            ignored=("embeddings.mask_token",),
            file_shape=functools.partial(_file_shape, self.config),
            renamed=_RENAMED,
        )

    def __call__(self, pixel_values: jax.Array) -> jax.Array:
        """Computes the logits of the classes of images, or their features.

        Args:
          pixel_values: floating, (batch, num_channels, height, width); cast to the dtype of the
            weights.

        Returns:
          With a classifier, logits, (batch, labels), float32. Without a head, the features.

        Raises:
          ValueError: if shape or dtype differ from the above.
        """
        features = self.features(pixel_values)
        return features if self.head is None else self.attend(features[:, 0])

    def features(self, pixel_values: jax.Array) -> jax.Array:
        """Computes the features of all positions; arguments and errors are those of a call.

        Returns:
          Features, (batch, 1 + patches, hidden_size), in the dtype of the weights; those of the
          class token come first.
        """
        return self._run(pixel_values, None)[0]

    def attend(self, features: jax.Array) -> jax.Array:
        """Classifies features, (..., hidden_size): logits, (..., labels), in float32."""
        return _parts.contract(features, self.classifier.kernel[...], self.classifier.bias[...])

    def keys_and_values(self, pixel_values: jax.Array) -> Memory:
        """The keys and values of images in all layers, from which a prefix starts."""
        config = self.config
        shape = (
            config.num_hidden_layers,
            pixel_values.shape[0],
            self.embeddings.position_embeddings.shape[0],
            config.num_attention_heads,
            config.hidden_size // config.num_attention_heads,
        )
        empty = jnp.zeros(shape, self.embeddings.position_embeddings.dtype)
        return self._run(pixel_values, Memory(empty, empty))[1]

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Writes `config.json` and safetensors that `transformers` and `from_pretrained` read.

        The tensors keep the dtype of the weights. Weight files that an earlier save left in the
        directory are replaced. A model without head is a `ViTModel` without pooler there.

        Args:
          directory: a folder, made if missing.
        """
        _save.save(self, directory)

    def _run(
        self, pixel_values: jax.Array, memory: Memory | None
    ) -> tuple[jax.Array, Memory | None]:
        """Equations (1) to (3) up to the head."""
        self._check(pixel_values)
        x = self.embeddings(pixel_values)
        length = x.shape[1]
        sight = Sight(jnp.ones((1, 1, length, length), bool), None if memory is None else 0)
        x, memory = _parts.run(self.layers, x, memory, sight=sight)
        return self.layernorm(x), memory

    def _check(self, pixel_values):
        shape = self.config.num_channels, *self.config.image_shape
        if pixel_values.ndim != 4 or not jnp.issubdtype(pixel_values.dtype, jnp.floating):
            raise ValueError(
                "pixel_values must be floating, of shape (batch, channels, height, width), "
                f"not {pixel_values.dtype}{list(pixel_values.shape)}."
            )
        if pixel_values.shape[1:] != shape:
            raise ValueError(
                f"pixel_values has images of shape {pixel_values.shape[1:]}, but num_channels and "
                f"image_size ask for {shape}, (channels, height, width); resize or transpose them."
            )
