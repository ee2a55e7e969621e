"""Writes what `transformers` computes for tiny random OPT models of every variant.

    pip install torch==2.13.0 transformers==5.23.0 && python tests/models/make_opt_fixtures.py

Each folder of `tests/models/fixtures` gets a checkpoint by `save_pretrained` and a `reference.npz`:
token ids, and for each kind of padding the mask, the logits and the loss. The tests compare with
these, so that they need no torch; `test_opt_live.py` repeats the comparison where torch is there.
"""

from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"
COMMON = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "ffn_dim": 24,
    "num_attention_heads": 4,
    "max_position_embeddings": 12,
}
VARIANTS = {
    "pre_norm": {},
    "post_norm_projected": {"do_layer_norm_before": False, "word_embed_proj_dim": 8},
    "no_final_norm": {"_remove_final_layer_norm": True},
    "no_bias_no_affine": {
        "enable_bias": False,
        "layer_norm_elementwise_affine": False,
        "activation_function": "gelu",
    },
    "untied": {"tie_word_embeddings": False, "activation_function": "gelu_new"},
}
PADDINGS = ("none", "left", "right")
IGNORED_LABEL = -100


def random_model(settings, seed):
    """A model of `transformers` whose every tensor is random, so that none can be left out."""
    import torch
    from transformers import OPTConfig, OPTForCausalLM

    torch.manual_seed(seed)
    config = OPTConfig(**COMMON | settings, attn_implementation="eager")
    model = OPTForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "norm.weight" in name else 0.0
            parameter.copy_(centre + 0.3 * torch.randn_like(parameter))
    return model


def inputs(seed):
    """Token ids, (3, 9), and a mask for each kind of padding, with rows of 9, 6 and 2 tokens."""
    ids = np.random.default_rng(seed).integers(3, COMMON["vocab_size"], (3, 9))
    right = (np.arange(9) < np.array([[9], [6], [2]])).astype(np.int64)
    return ids, dict(zip(PADDINGS, (np.ones_like(right), right[:, ::-1], right), strict=True))


def reference(model, ids, mask):
    """Logits and the mean loss of the next token where it is not padding."""
    import torch

    ids, mask = torch.tensor(ids), torch.tensor(mask.copy())
    labels = torch.where(mask == 1, ids, IGNORED_LABEL)
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask, labels=labels)
    return out.logits.numpy(), out.loss.numpy()


def main():
    for seed, (name, settings) in enumerate(VARIANTS.items()):
        model = random_model(settings, seed)
        model.save_pretrained(FIXTURES / name)
        (FIXTURES / name / "generation_config.json").unlink(missing_ok=True)
        ids, masks = inputs(seed)
        arrays = {"input_ids": ids}
        for padding, mask in masks.items():
            logits, loss = reference(model, ids, mask)
            arrays |= {
                f"mask_{padding}": mask,
                f"logits_{padding}": logits,
                f"loss_{padding}": loss,
            }
        np.savez_compressed(FIXTURES / name / "reference.npz", **arrays)


if __name__ == "__main__":
    main()
