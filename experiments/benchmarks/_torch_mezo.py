"""MeZO in PyTorch as its paper has it: weights are perturbed and restored in place.

    s ← a new seed
    W ← W + ε z(s),    f₊ = f(W);    W ← W - 2 ε z(s),    f₋ = f(W);    W ← W + ε z(s)
    W ← W - η (f₊ - f₋) / (2 ε) z(s)

z(s) are standard normal numbers drawn anew from s each of the four times. Written from algorithm 1
and 2 of arXiv:2305.17333.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers

from experiments.benchmarks._forms import Size


def random_opt(size: Size) -> Any:
    """An OPT of transformers with random weights and the sizes of our scanned form."""
    torch.manual_seed(0)
    config = transformers.OPTConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        word_embed_proj_dim=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        ffn_dim=4 * size.width,
        max_position_embeddings=size.length,
    )
    return transformers.OPTForCausalLM(config).eval()


def last_token_loss(model: Any, tokens: np.ndarray) -> Callable[[], float]:
    """The loss of our forms: cross-entropy at the last position, its logits alone computed."""
    ids = torch.tensor(np.asarray(tokens), dtype=torch.long)

    @torch.inference_mode()
    def loss() -> float:
        features = model.model(input_ids=ids).last_hidden_state[:, -1]
        return torch.nn.functional.cross_entropy(model.lm_head(features), ids[:, -1]).item()

    return loss


def mezo(
    model: Any, loss: Callable[[], float], *, radius: float, learning_rate: float
) -> Callable[[], None]:
    """One step of the algorithm above, on the weights of the model."""
    weights = list(model.parameters())
    seeds = np.random.default_rng(0)

    @torch.inference_mode()
    def move(seed: int, scale: float) -> None:
        torch.manual_seed(seed)
        for weight in weights:
            weight.data.add_(torch.randn_like(weight), alpha=scale)

    def step() -> None:
        seed = int(seeds.integers(2**31))
        move(seed, radius)
        plus = loss()
        move(seed, -2 * radius)
        minus = loss()
        move(seed, radius)
        move(seed, -learning_rate * (plus - minus) / (2 * radius))

    return step
