"""Mamba 2 of mamba2-jax (Flax NNX): a state-space model with short depthwise convolutions."""

from typing import Any

import jax
from flax import nnx
from wild_model import Model, Size, next_token_loss


def mamba2(size: Size) -> Model:
    """Its head is the embedding."""
    import mamba2_jax

    config = mamba2_jax.Mamba2Config(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        state_size=size.width // 4,
        head_dim=size.width // size.heads,
        num_hidden_layers=size.layers,
        chunk_size=max(size.length // 2, 1),
    )
    model = mamba2_jax.Mamba2ForCausalLM(config, rngs=nnx.Rngs(0))
    graphdef, params = nnx.split(model, nnx.Param)

    def loss(params: Any, batch: jax.Array, held: Any) -> jax.Array:
        del held
        return next_token_loss(nnx.merge(graphdef, params)(batch)["logits"], batch)

    return Model(params, loss, size.tokens())
