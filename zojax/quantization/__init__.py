"""Frozen weights in 8 or 4 bits, under an adapter that is trained in floating point.

    q, s = quantize(W),    y = x (s q) + b + (what the adapter adds)

The numbers are made by qwix: int8 with a scale for every column, and NF4 (16 levels, the quantiles
of a normal law) with a scale for every 64 rows of a column. qwix's own `quantize_model` is not
used: it replaces JAX's functions while a model runs, finds the weights by running it once, and so
does not see those of a stack of layers, which only exist as slices inside a scan.

Source of NF4: Dettmers, Pagnoni, Holtzman, Zettlemoyer, "QLoRA: Efficient finetuning of quantized
LLMs", NeurIPS 2023, arXiv:2305.14314, Section 3 and Appendix E.
"""

from zojax.quantization._layer import QuantizedLinear
from zojax.quantization._quantize import FORMATS, dequantize, quantize

__all__ = ["FORMATS", "QuantizedLinear", "dequantize", "quantize"]
