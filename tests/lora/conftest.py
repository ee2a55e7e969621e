"""A tiny OPT and its adapted form, shared by the tests of adapters."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from zojax import lora
from zojax.models import OPT, OPTConfig

TARGETS = ("q_proj", "v_proj")


@pytest.fixture(scope="session")
def model():
    """Two layers of width 8, with weights large enough for the layers to matter."""
    config = OPTConfig(
        vocab_size=32,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=16,
        max_position_embeddings=16,
        init_std=0.3,
    )
    return OPT(config, rngs=nnx.Rngs(0))


@pytest.fixture(scope="session")
def adapted(model):
    """The same with adapters of rank 3 whose B is not zero."""
    fresh = lora.adapt(model, TARGETS, rank=3, scale=2.0, key=jax.random.key(1))
    graphdef, adapter, frozen = nnx.split(fresh, nnx.LoRAParam, ...)
    leaves, treedef = jax.tree.flatten(adapter)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    random = [0.3 * jax.random.normal(k, a.shape) for k, a in zip(keys, leaves, strict=True)]
    return nnx.merge(graphdef, treedef.unflatten(random), frozen)


@pytest.fixture(scope="session")
def ids():
    return jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]])
