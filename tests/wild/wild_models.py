"""All models by name, each a function of its size."""

from equinox_models import equinox_mlp, equinox_transformer
from haiku_models import haiku_resnet, haiku_transformer
from mamba2_models import mamba2
from nano_moe_models import nano_moe
from tunix_models import llama3, qwen3, qwen3_moe

MODELS = {
    "google-tunix Qwen3": qwen3,
    "google-tunix Qwen3 with experts": qwen3_moe,
    "google-tunix Llama 3": llama3,
    "mamba2-jax Mamba 2": mamba2,
    "nano-moe-jax NanoMoE": nano_moe,
    "dm-haiku transformer": haiku_transformer,
    "dm-haiku ResNet": haiku_resnet,
    "equinox MLP": equinox_mlp,
    "equinox transformer": equinox_transformer,
}
