"""Writes what `transformers` computes for tiny random models of GPT-2 and of the encoders.

    pip install torch==2.13.0 transformers==5.23.0 && python tests/models/make_stored_text_models.py

Each folder of `tests/models/stored` that is named below gets a checkpoint by `save_pretrained` and
a `reference.npz`: token ids and types, and for each kind of padding the mask, the logits, the last
hidden states and the loss. The tests compare with these, so that they need no torch; the tests that
end in `_live` repeat the comparison where torch is there, over more settings and heads.
"""

from pathlib import Path

import numpy as np

STORED = Path(__file__).parent / "stored"
PAD, VOCAB, LENGTH = 1, 40, 9
_GPT2 = {"n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 4, "bos_token_id": 2}
_BERT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
}
COMMON = {
    "gpt2": _GPT2 | {"eos_token_id": 2},
    "bert": _BERT,
    "roberta": _BERT | {"type_vocab_size": 1, "layer_norm_eps": 1e-5},
    "distilbert": {
        "dim": 16,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 24,
        "max_position_embeddings": 12,
    },
    # Windows of two tokens on either side in the second layer.
    "modernbert": _BERT | {"global_attn_every_n_layers": 2, "local_attention": 4},
}
WITHOUT_TYPES = ("gpt2", "distilbert", "modernbert")
STORED_HEADS = {
    "gpt2": ("gpt2", "LMHeadModel"),
    "bert": ("bert", "ForMaskedLM"),
    "bert_classifier": ("bert", "ForSequenceClassification"),
    "roberta": ("roberta", "ForMaskedLM"),
    "distilbert": ("distilbert", "ForMaskedLM"),
    "modernbert": ("modernbert", "ForMaskedLM"),
}
HEADS = {
    "LMHeadModel": "language_model",
    "ForMaskedLM": "masked_language_model",
    "ForSequenceClassification": "classifier",
    "Model": None,
}
_CLASSES = {
    "gpt2": "GPT2",
    "bert": "Bert",
    "roberta": "Roberta",
    "distilbert": "DistilBert",
    "modernbert": "ModernBert",
}
PADDINGS = ("none", "left", "right")
IGNORED_LABEL = -100


def random_model(family, ending, seed, **settings):
    """A model of `transformers` whose every tensor is random, so that none can be left out."""
    import torch
    import transformers

    torch.manual_seed(seed)
    settings = {"vocab_size": VOCAB, "pad_token_id": PAD} | COMMON[family] | settings
    name = _CLASSES[family]
    config = getattr(transformers, f"{name}Config")(**settings, attn_implementation="eager")
    model = getattr(transformers, name + ending)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "orm.weight" in name or ("ln_" in name and "weight" in name)
            parameter.copy_(float(norm) + 0.3 * torch.randn_like(parameter))
    return model


def inputs(seed, family):
    """Token ids and types, both (3, 9) dictionaries by padding, and masks: 9, 6 and 2 tokens."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(3, VOCAB, (3, LENGTH))
    types = rng.integers(0, COMMON[family].get("type_vocab_size", 2), (3, LENGTH))
    right = (np.arange(LENGTH) < np.array([[9], [6], [2]])).astype(np.int64)
    masks = dict(zip(PADDINGS, (np.ones_like(right), right[:, ::-1].copy(), right), strict=True))
    return {p: np.where(mask == 1, ids, PAD) for p, mask in masks.items()}, types, masks


def labels(ids, mask, head):
    """Tokens that follow a token, every third token for a masked model, or classes; or None."""
    if head is None:
        return None
    if head == "classifier":
        return np.array([0, 1, 1])
    chosen = mask == 1
    if head == "language_model":
        chosen &= np.roll(mask, 1, axis=1) == 1
        chosen[:, 0] = False
    else:
        chosen &= np.arange(LENGTH) % 3 == 0
    return np.where(chosen, ids, IGNORED_LABEL)


def reference(model, ids, mask, types, targets):
    """Logits, last hidden states and loss, at the positions that the mask gives."""
    import torch

    family = model.config.model_type
    positions = np.maximum(mask * mask.cumsum(1) - 1, 0)
    if family == "roberta":
        positions = mask * mask.cumsum(1) + PAD
    arguments = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    arguments |= {} if family in WITHOUT_TYPES else {"token_type_ids": types}
    arguments |= {} if targets is None else {"labels": targets}
    tensors = {name: torch.tensor(array) for name, array in arguments.items()}
    with torch.no_grad():
        out = model(**tensors, output_hidden_states=True)
    found = {name: out[name].numpy() for name in ("logits", "loss") if name in out}
    return found | {"features": out.hidden_states[-1].numpy()}


def main():
    for seed, (name, (family, ending)) in enumerate(STORED_HEADS.items()):
        model = random_model(family, ending, seed)
        model.save_pretrained(STORED / name)
        (STORED / name / "generation_config.json").unlink(missing_ok=True)
        ids, types, masks = inputs(seed, family)
        arrays = {"types": types}
        for padding, mask in masks.items():
            arrays |= {f"mask_{padding}": mask, f"ids_{padding}": ids[padding]}
            targets = labels(ids[padding], mask, HEADS[ending])
            out = reference(model, ids[padding], mask, types, targets)
            arrays |= {f"{what}_{padding}": array for what, array in out.items()}
        np.savez_compressed(STORED / name / "reference.npz", **arrays)


if __name__ == "__main__":
    main()
