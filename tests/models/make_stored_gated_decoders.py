"""Writes what `transformers` computes for tiny random models of Llama, Qwen2 and Qwen3.

    pip install torch==2.13.0 transformers==5.23.0
    python tests/models/make_stored_gated_decoders.py

Each folder of `tests/models/stored` gets a checkpoint by `save_pretrained` and a `reference.npz`:
token ids, and for each kind of padding the mask, the logits, the last hidden states and the loss.
`test_gated_decoders.py` compares with these; `test_gated_decoders_live.py` repeats it with torch.
"""

from pathlib import Path

import numpy as np

STORED = Path(__file__).parent / "stored"
COMMON = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 24,
    "pad_token_id": 0,
}
# Eight positions of pretraining: the planes of a head turn fast, slowed, and in between.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 50.0,
    "factor": 4.0,
    "low_freq_factor": 0.25,
    "high_freq_factor": 1.0,
    "original_max_position_embeddings": 8,
}
LINEAR = {"rope_type": "linear", "rope_theta": 100.0, "factor": 2.5}
# (model_type, settings) of what is stored, one a family.
VARIANTS = {
    "llama": ("llama", {"rope_parameters": LLAMA3, "head_dim": 8, "attention_bias": True}),
    "qwen2": ("qwen2", {"rope_parameters": LINEAR}),
    "qwen3": ("qwen3", {"head_dim": 6, "tie_word_embeddings": True}),
}
PADDINGS = ("none", "left", "right")
IGNORED_LABEL = -100


def random_model(model_type, settings, seed, auto="AutoModelForCausalLM"):
    """A model of `transformers` whose every tensor is random, so that none can be left out."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(model_type, **COMMON | settings)
    config._attn_implementation = "eager"
    model = getattr(transformers, auto).from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "norm" in name else 0.0
            parameter.copy_(centre + 0.3 * torch.randn_like(parameter))
    return model


def inputs(seed):
    """Token ids, (3, 9), and a mask for each kind of padding, with rows of 9, 6 and 2 tokens."""
    ids = np.random.default_rng(seed).integers(3, COMMON["vocab_size"], (3, 9))
    right = (np.arange(9) < np.array([[9], [6], [2]])).astype(np.int64)
    return ids, dict(zip(PADDINGS, (np.ones_like(right), right[:, ::-1], right), strict=True))


def reference(model, ids, mask):
    """Logits, last hidden states, and the mean loss of the next token where it is not padding.

    Positions count tokens, as zojax does; transformers does the same only where told to.
    """
    import torch

    ids, mask = torch.tensor(ids), torch.tensor(mask.copy())
    positions = (mask * mask.cumsum(1) - 1).clamp(min=0)
    labels = torch.where(mask == 1, ids, IGNORED_LABEL)
    with torch.no_grad():
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            labels=labels,
            output_hidden_states=True,
        )
    return {"logits": out.logits, "features": out.hidden_states[-1], "loss": out.loss}


def main():
    for seed, (name, (model_type, settings)) in enumerate(VARIANTS.items()):
        model = random_model(model_type, settings, seed)
        model.save_pretrained(STORED / name)
        (STORED / name / "generation_config.json").unlink(missing_ok=True)
        ids, masks = inputs(seed)
        arrays = {"input_ids": ids}
        for padding, mask in masks.items():
            outputs = reference(model, ids, mask)
            arrays[f"mask_{padding}"] = mask
            arrays |= {f"{kind}_{padding}": value.numpy() for kind, value in outputs.items()}
        np.savez_compressed(STORED / name / "reference.npz", **arrays)


if __name__ == "__main__":
    main()
