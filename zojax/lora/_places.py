"""The places of a model where adapters are or can be: found, filled, checked."""

import jax
import jax.numpy as jnp
from flax import nnx

from zojax.lora._layer import LoRALinear

Path = tuple[str | int, ...]


def linear_layers(model: nnx.Module) -> dict[Path, nnx.Linear]:
    """All linear layers by path; one that the model uses in several places is there once."""
    return {path: node for path, node in nnx.iter_modules(model) if isinstance(node, nnx.Linear)}


def adapted_layers(model: nnx.Module) -> dict[Path, LoRALinear]:
    """All adapted layers by path.

    Raises:
      ValueError: if there is none.
    """
    found = {path: node for path, node in nnx.iter_modules(model) if isinstance(node, LoRALinear)}
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no adapters; give it some with zojax.lora.adapt, or read "
            "them with zojax.lora.load_peft"
        )
    return found


def with_adapters(
    model: nnx.Module, factors: dict[Path, tuple[jax.Array, jax.Array]], scale: float
) -> nnx.Module:
    """A new model with (A, B) at the linear layers of these paths; it shares the other arrays."""

    def adapt(path: Path, node: object) -> object:
        return LoRALinear(node, *factors[path], scale=scale) if path in factors else node

    # The clone has variables of its own (around the same arrays), else a change to one model would
    # be one to both.
    return nnx.recursive_map(adapt, nnx.clone(model))


def check_plain(model: nnx.Module) -> None:
    """Raises ValueError if the model has adapters."""
    paths = [path for path, _ in nnx.to_flat_state(nnx.state(model, nnx.LoRAParam))]
    if paths:
        raise ValueError(
            f"{type(model).__name__} already has adapters, such as {dotted(paths[0])}; fold them "
            "into its weights with zojax.lora.merge first"
        )


def check_rank(rank: int, layers: dict[Path, nnx.Linear]) -> None:
    """Raises ValueError unless 1 ≤ rank ≤ min(in, out) of every layer."""
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise ValueError(f"rank must be an integer of at least 1, got {rank!r}")
    for path, layer in layers.items():
        inputs, outputs = layer.kernel.shape[-2:]
        if rank > min(inputs, outputs):
            raise ValueError(
                f"rank {rank} is above that of the matrices {inputs} x {outputs} of "
                f"{dotted(path)}; choose at most {min(inputs, outputs)}, or other targets"
            )


def check_dtype(dtype: object) -> None:
    """Raises ValueError unless it is a floating dtype."""
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"dtype must be a floating dtype such as jnp.float32, got {dtype!r}")


def dotted(path: Path) -> str:
    """A path as users write it, such as layers.self_attn.q_proj."""
    return ".".join(map(str, path))
