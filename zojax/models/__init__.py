"""Flax NNX models that read and write Hugging Face files.

Every model splits into `graphdef, params = nnx.split(model, nnx.Param)` and is a pure function of
`params`; its layers are stacked on a leading axis and scanned.
"""

from zojax.models._generate import generate
from zojax.models._pretrained import families, from_pretrained, read_heads
from zojax.models._rules import fully_sharded, tensor_parallel
from zojax.models._saved_modules import in_modules
from zojax.models.bert import BERT, BERTConfig
from zojax.models.distilbert import DistilBERT, DistilBERTConfig
from zojax.models.gemma2 import Gemma2, Gemma2Config
from zojax.models.gemma3 import Gemma3, Gemma3Config
from zojax.models.gpt2 import GPT2, GPT2Config
from zojax.models.llama import Llama, LlamaConfig
from zojax.models.mistral import Mistral, MistralConfig
from zojax.models.modernbert import ModernBERT, ModernBERTConfig
from zojax.models.opt import OPT, OPTConfig
from zojax.models.phi3 import Phi3, Phi3Config
from zojax.models.qwen2 import Qwen2, Qwen2Config
from zojax.models.qwen3 import Qwen3, Qwen3Config
from zojax.models.roberta import RoBERTa, RoBERTaConfig
from zojax.models.smollm3 import SmolLM3, SmolLM3Config
from zojax.models.vit import ViT, ViTConfig

__all__ = [
    "BERT",
    "GPT2",
    "OPT",
    "BERTConfig",
    "DistilBERT",
    "DistilBERTConfig",
    "GPT2Config",
    "Gemma2",
    "Gemma2Config",
    "Gemma3",
    "Gemma3Config",
    "Llama",
    "LlamaConfig",
    "Mistral",
    "MistralConfig",
    "ModernBERT",
    "ModernBERTConfig",
    "OPTConfig",
    "Phi3",
    "Phi3Config",
    "Qwen2",
    "Qwen2Config",
    "Qwen3",
    "Qwen3Config",
    "RoBERTa",
    "RoBERTaConfig",
    "SmolLM3",
    "SmolLM3Config",
    "ViT",
    "ViTConfig",
    "families",
    "from_pretrained",
    "fully_sharded",
    "generate",
    "in_modules",
    "read_heads",
    "tensor_parallel",
]
