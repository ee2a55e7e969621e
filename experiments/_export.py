"""What a run leaves for others: the model for transformers, and an adapter for PEFT."""

from typing import Any

from flax import nnx

from experiments._adapters import ADAPTERS
from experiments._inputs import model_source, save_processor
from experiments._settings import Settings


def export(settings: Settings, model: nnx.Module, processor: Any) -> None:
    """Writes the model with its processor to `model/`, and an adapter to `adapter/` as well."""
    if settings.quantize is not None:
        from zojax import quantization  # importing it takes a second

        model = quantization.dequantize(model)
    export_adapter = ADAPTERS[settings.adapter].export
    model = export_adapter(model, settings.out / "adapter", model_source(settings.model))
    model.save_pretrained(settings.out / "model")
    save_processor(processor, settings.out / "model")
