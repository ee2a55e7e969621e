"""Writes what `transformers` computes for tiny random ViTs.

    pip install torch==2.13.0 transformers==5.23.0 && python tests/models/make_stored_vit.py

Each folder `tests/models/stored/vit*` gets a checkpoint by `save_pretrained` and a `reference.npz`:
images, labels, logits, last hidden states and the loss. `test_vit.py` compares with these, so that
it needs no torch; `test_vit_live.py` repeats the comparison where torch is there.
"""

from pathlib import Path

import numpy as np

STORED = Path(__file__).parent / "stored"
COMMON = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "image_size": 8,
    "patch_size": 4,
    "num_channels": 3,
}
VARIANTS = {
    "vit": {},
    # The image is no multiple of the patch, and neither is a square.
    "vit_oblong": {
        "image_size": [9, 8],
        "patch_size": [2, 3],
        "num_channels": 2,
        "qkv_bias": False,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-3,
        "num_labels": 3,
    },
}


def random_model(settings, seed, name="ViTForImageClassification", **kwargs):
    """A model of `transformers` whose every tensor is random, so that none can be left out."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.ViTConfig(**COMMON | settings, attn_implementation="eager")
    model = getattr(transformers, name)(config, **kwargs).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "layernorm" in name and "weight" in name else 0.0
            parameter.copy_(centre + 0.3 * torch.randn_like(parameter))
    return model


def inputs(settings, seed):
    """Images, (3, channels, height, width), and their labels."""
    rng = np.random.default_rng(seed)
    settings = COMMON | settings
    size = settings["image_size"]
    sides = (size, size) if isinstance(size, int) else size
    images = rng.standard_normal((3, settings["num_channels"], *sides)).astype(np.float32)
    return images, np.array([0, 1, 1])


def reference(model, images, labels):
    """Logits, last hidden states and the loss."""
    import torch

    images, labels = torch.tensor(images), torch.tensor(labels)
    with torch.no_grad():
        out = model(pixel_values=images, labels=labels)
        features = model.vit(pixel_values=images).last_hidden_state
    return {
        "logits": out.logits.numpy(),
        "features": features.numpy(),
        "loss": out.loss.numpy(),
    }


def main():
    for seed, (name, settings) in enumerate(VARIANTS.items()):
        model = random_model(settings, seed)
        model.save_pretrained(STORED / name)
        images, labels = inputs(settings, seed)
        arrays = {"images": images, "labels": labels} | reference(model, images, labels)
        np.savez_compressed(STORED / name / "reference.npz", **arrays)


if __name__ == "__main__":
    main()
