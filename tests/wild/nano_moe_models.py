"""The decoder with experts of nano-moe-jax (Flax Linen), which runs every expert on every token."""

from typing import Any

import jax
from wild_model import Model, Size, next_token_loss


def nano_moe(size: Size) -> Model:
    """Four experts, two for each token; the loss has their balance in it."""
    import nano_moe

    config = nano_moe.NanoMoEConfig(
        vocab_size=size.vocabulary,
        n_layers=size.layers,
        n_heads=size.heads,
        d_model=size.width,
        d_ff=4 * size.width,
        block_size=size.length,
        dropout_rate=0.0,
    )
    model = nano_moe.NanoMoE(config)
    tokens = size.tokens()
    params = jax.jit(model.init)(jax.random.key(0), tokens)

    def loss(params: Any, batch: jax.Array, held: Any) -> jax.Array:
        del held
        logits, balance = model.apply(params, batch)
        return next_token_loss(logits, batch) + config.aux_loss_coeff * balance

    return Model(params, loss, tokens)
