"""One model of each family of `zojax.models`, of comparable size, with a loss of few logits."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.benchmarks._forms import Form, Size, last_token_loss
from zojax import models

# A ViT reads an image in as many patches of this side as another model reads tokens.
_PATCH = 8


def families(size: Size, name: str) -> Iterator[Form]:
    """The family of this `model_type`, or all of them one after another for "all".

    Raises:
      ValueError: for an unknown name.
    """
    known = models.families()
    if name not in ("all", *known):
        raise ValueError(f"family {name!r} is unknown; choose from all, {', '.join(known)}")
    for model_type, family in known.items():
        if name in ("all", model_type):
            yield _form(model_type, family, size)


def tied_qwen3(size: Size) -> Form:
    """Qwen3, layers stacked and scanned, whose head is the embedding."""
    form = _form("qwen3", models.families()["qwen3"], size, tie_word_embeddings=True)
    return form._replace(name="scanned Qwen3, tied")


def qwen3_32b(size: Size) -> Form:
    """Qwen3 as its 32B checkpoint is, but for the size: 8 heads of keys, 5 widths in the MLP.

    Source: the checkpoint's config.json.
    """
    mlp = {"num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 5 * size.width}
    form = _form("qwen3", models.families()["qwen3"], size, tie_word_embeddings=False, **mlp)
    return form._replace(name="Qwen3-32B")


def _form(model_type: str, family: type[nnx.Module], size: Size, **changed: Any) -> Form:
    config = family.config_class.from_dict({**_settings(model_type, size), **changed})
    # Shapes are all that the compiler asks for.
    graphdef, params = nnx.split(nnx.eval_shape(lambda: family(config, rngs=nnx.Rngs(0))))
    if hasattr(config, "vocab_size"):
        batch = jax.ShapeDtypeStruct((size.batch, size.length), jnp.int32)
        return Form(model_type, params, _token_loss(graphdef), batch)
    image = (size.batch, config.num_channels, *config.image_shape)
    batch = jax.ShapeDtypeStruct(image, jnp.float32)
    return Form(model_type, params, _image_loss(graphdef), batch)


def _token_loss(graphdef: nnx.GraphDef) -> Callable[[Any, jax.Array], jax.Array]:
    def loss(params: Any, batch: jax.Array) -> jax.Array:
        model = nnx.merge(graphdef, params)
        return last_token_loss(model.attend(model.features(batch)[:, -1]), batch)

    return loss


def _image_loss(graphdef: nnx.GraphDef) -> Callable[[Any, jax.Array], jax.Array]:
    def loss(params: Any, batch: jax.Array) -> jax.Array:
        return -jax.nn.log_softmax(nnx.merge(graphdef, params)(batch))[:, 0].mean()

    return loss


def _settings(model_type: str, size: Size) -> dict[str, Any]:
    """What a `config.json` would say; each family takes the names that are its own."""
    side = round(size.length**0.5) * _PATCH
    return {
        "vocab_size": size.vocabulary,
        "hidden_size": size.width,
        "dim": size.width,
        "n_embd": size.width,
        "word_embed_proj_dim": size.width,
        "num_hidden_layers": size.layers,
        "n_layer": size.layers,
        "n_layers": size.layers,
        "num_attention_heads": size.heads,
        "n_head": size.heads,
        "n_heads": size.heads,
        "num_key_value_heads": max(1, size.heads // 4),
        "head_dim": size.width // size.heads,
        "ffn_dim": 4 * size.width,
        "n_inner": 4 * size.width,
        "hidden_dim": 4 * size.width,
        "intermediate_size": 4 * size.width,
        "max_position_embeddings": size.length + 2,
        "n_positions": size.length + 2,
        "image_size": side,
        "patch_size": _PATCH,
    }
