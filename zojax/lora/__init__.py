"""LoRA: low-rank adapters for Flax NNX models, as a transformation of a model.

    y = x W + b  becomes  y = x W + b + s (x A) B,    s (x A) B = s Σ_i (x · a_i) b_i

Every layer that is adapted has A, (in, rank), and B, (rank, out), as `nnx.LoRAParam`; W and b stay
as they are, s is `scale`. Column i of A (axis -1) and row i of B (axis -2) are atom i, a_i and b_i:
a complete map of rank 1. Layers that a model keeps as one stack, with a kernel of shape
(layers, in, out), get A of shape (layers, in, rank) and B of shape (layers, rank, out).

Only the adapter is trained; the rest reaches the loss as an argument, neither copied nor perturbed:

    model = lora.adapt(model, ("q_proj", "v_proj"), rank=8, scale=2.0, key=key)
    graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)

    def loss(adapter, frozen, batch):
        return task_loss(nnx.merge(graphdef, adapter, frozen), batch)

    tx.update(None, state, adapter, value_fn=loss, frozen=frozen, batch=batch)

Reference: Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen, "LoRA: Low-Rank Adaptation of Large
Language Models", arXiv:2106.09685.
"""

from zojax.lora._adapt import adapt
from zojax.lora._layer import LoRALinear
from zojax.lora._merge import merge
from zojax.lora._peft_load import load_peft
from zojax.lora._peft_save import save_peft
from zojax.lora._scales import ar1_scale, canonical_scale

__all__ = [
    "LoRALinear",
    "adapt",
    "ar1_scale",
    "canonical_scale",
    "load_peft",
    "merge",
    "save_peft",
]
