"""Writes what `transformers` computes for tiny random models of the families with gated layers.

    pip install torch==2.13.0 transformers==5.23.0
    python tests/models/make_stored_gated_decoders.py

Each folder of `tests/models/stored` gets a checkpoint by `save_pretrained` and a `reference.npz`:
token ids, and for each kind of padding the mask, the logits, the last hidden states and the loss.
`rope.npz` gets the frequencies of positions that are scaled. `test_rotary.py` and
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
# Four positions of pretraining, of which rows have up to nine.
YARN = {
    "rope_type": "yarn",
    "rope_theta": 50.0,
    "factor": 4.0,
    "original_max_position_embeddings": 4,
    "beta_fast": 0.6,
    "beta_slow": 0.05,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 50.0, "factor": 4.0}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 50.0,
    "factor": 3.0,
    "short_factor": [1.0, 1.5],
    "long_factor": [2.0, 4.5],
    "partial_rotary_factor": 0.5,
}
_CAPS = {"attn_logit_softcapping": 1.5, "final_logit_softcapping": 3.0}
_GEMMA = {"head_dim": 6, "query_pre_attn_scalar": 10, "sliding_window": 3} | _CAPS
# (model_type, settings) of what is stored, one a family.
VARIANTS = {
    "llama": ("llama", {"rope_parameters": LLAMA3, "head_dim": 8, "attention_bias": True}),
    "qwen2": ("qwen2", {"rope_parameters": LINEAR}),
    "qwen3": ("qwen3", {"head_dim": 6, "tie_word_embeddings": True}),
    "mistral": ("mistral", {"head_dim": 6, "sliding_window": 4, "rope_parameters": YARN}),
    "gemma2": ("gemma2", _GEMMA),
    "gemma3": ("gemma3_text", _GEMMA | {"layer_types": ["sliding_attention", "full_attention"]}),
    # Rows are short here: transformers asks only how long the longest of them is.
    "phi3": (
        "phi3",
        {
            "hidden_size": 32,
            "rope_parameters": LONGROPE,
            "original_max_position_embeddings": 12,
            "sliding_window": 4,
        },
    ),
    "smollm3": ("smollm3", {"no_rope_layer_interval": 2}),
}
# (settings, how long the sequence is, or None) of the frequencies that are stored, by name.
ROPES = {
    "yarn": ({"rope_parameters": YARN}, None),
    "yarn_scaled": (
        {"rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 0.4, "truncate": False}},
        None,
    ),
    "dynamic_short": ({"rope_parameters": DYNAMIC, "max_position_embeddings": 6}, 5),
    "dynamic_long": ({"rope_parameters": DYNAMIC, "max_position_embeddings": 6}, 17),
    "longrope_short": ({"rope_parameters": LONGROPE, "original_max_position_embeddings": 12}, 12),
    "longrope_long": ({"rope_parameters": LONGROPE, "original_max_position_embeddings": 12}, 13),
}
ROPE_WIDTH = 8
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
            scales = "norm" in name and not model_type.startswith("gemma")
            centre = 1.0 if scales else 0.0
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


def frequencies(settings, length):
    """Frequencies and the factor of cosines and sines, for heads of `ROPE_WIDTH`."""
    import torch
    import transformers
    from transformers import modeling_rope_utils

    settings = COMMON | {"hidden_size": ROPE_WIDTH * COMMON["num_attention_heads"]} | settings
    config = transformers.AutoConfig.for_model("llama", **settings, head_dim=ROPE_WIDTH)
    init = modeling_rope_utils.ROPE_INIT_FUNCTIONS[config.rope_parameters["rope_type"]]
    length = None if length is None else torch.tensor(length)
    found, factor = init(config, "cpu", seq_len=length)
    return {"frequencies": found.numpy(), "factor": factor}


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
    ropes = {
        f"{what}_{name}": value
        for name, case in ROPES.items()
        for what, value in frequencies(*case).items()
    }
    np.savez_compressed(STORED / "rope.npz", **ropes)


if __name__ == "__main__":
    main()
