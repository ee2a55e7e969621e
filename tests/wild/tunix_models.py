"""Qwen3, Qwen3 with experts, and Llama 3 of google-tunix (Flax NNX).

The attention kernels have an axis for the heads: (features, heads, head_dim) and back.
"""

import importlib
import importlib.util
import sys
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from flax import config, nnx
from wild_model import Model, Size, next_token_loss


def qwen3(size: Size, **experts: int) -> Model:
    """A decoder with gated feed-forward blocks."""
    with _unplaced():
        tunix = _model_module("qwen3")
        shape = tunix.ModelConfig(**_shape(size), norm_eps=1e-6, rope_theta=10_000, **experts)
        return _of_module(tunix.Qwen3(shape, rngs=nnx.Rngs(0)), size)


def qwen3_moe(size: Size) -> Model:
    """The same with four experts, two for each token: their kernels are (experts, in, out)."""
    return qwen3(size, num_experts=4, num_experts_per_tok=2)


def llama3(size: Size) -> Model:
    """A decoder whose head is the embedding."""
    with _unplaced():
        tunix = _model_module("llama3")
        shape = tunix.ModelConfig(
            **_shape(size), norm_eps=1e-5, rope_theta=500_000, weight_tying=True
        )
        return _of_module(tunix.Llama3(shape, rngs=nnx.Rngs(0)), size)


def _unplaced() -> AbstractContextManager:
    """Variables may name axes of a mesh where there is none.

    Importing tunix allows this to the whole process; here it ends with the context.
    """
    return config.temp_flip_flag("always_shard_variable", False)


def _shape(size: Size) -> dict[str, int]:
    return dict(
        num_layers=size.layers,
        vocab_size=size.vocabulary,
        embed_dim=size.width,
        hidden_dim=4 * size.width,
        num_heads=size.heads,
        head_dim=size.width // size.heads,
        num_kv_heads=size.heads // 2,
    )


def _of_module(model: nnx.Module, size: Size) -> Model:
    graphdef, params = nnx.split(model, nnx.Param)
    length = size.length
    mask = jnp.tril(jnp.ones((1, length, length), bool))

    def loss(params: Any, batch: jax.Array, held: Any) -> jax.Array:
        del held
        model = nnx.merge(graphdef, params)
        positions = jnp.broadcast_to(jnp.arange(length), batch.shape)
        logits, _ = model(batch, positions, None, mask)
        return next_token_loss(logits, batch)

    return Model(params, loss, size.tokens())


def _model_module(family: str) -> ModuleType:
    """`tunix.models.FAMILY.model` alone: the packages above it import trainers and their needs."""
    for package in ("tunix", f"tunix.models.{family}"):
        if package not in sys.modules:
            spec = importlib.util.find_spec(package)
            if spec is None:
                raise ModuleNotFoundError(f"no package {package}")
            sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"tunix.models.{family}.model")
