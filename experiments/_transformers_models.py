"""Small random checkpoints that transformers writes, and what it computes with ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments import tasks
from experiments._inputs import model_source

# As a folder it is any user's data, which a template may make a task of another kind.
_REVIEWS = Path(__file__).parent / "assets" / "reviews"
_WIDTH, _LAYERS, _HEADS, _POSITIONS = 32, 2, 4, 64


class Kind(NamedTuple):
    """What is asked of a family.

    Attributes:
      task: of `experiments.finetune`.
      template: of the task; None for its own.
      head: the automatic class of transformers.
      inputs: config → a batch of random inputs.
    """

    task: str
    template: str | None
    head: str
    inputs: Callable[[Any], np.ndarray]


class Tiny(NamedTuple):
    """A family: what is asked of it, and settings for its `config.json` that make it small."""

    kind: Kind
    settings: dict[str, Any]


def _token_ids(config: Any) -> np.ndarray:
    return np.random.default_rng(0).integers(5, config.vocab_size, (3, 9))


def _pixels(config: Any) -> np.ndarray:
    shape = (3, config.num_channels, *config.image_shape)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


_DECODER = Kind("reviews", None, "AutoModelForCausalLM", _token_ids)
_MASKED = Kind(str(_REVIEWS), "{text} It was {mask}.", "AutoModelForMaskedLM", _token_ids)
_IMAGES = Kind("digits", None, "AutoModelForImageClassification", _pixels)
_COMMON = {
    "hidden_size": _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "intermediate_size": 2 * _WIDTH,
    "max_position_embeddings": _POSITIONS,
}
_GROUPED = _COMMON | {"num_key_value_heads": 2, "head_dim": 8}
# Windows that end within the texts.
_WINDOWED = _GROUPED | {"sliding_window": 8}
TINY = {
    "bert": Tiny(_MASKED, _COMMON),
    "distilbert": Tiny(
        _MASKED,
        {
            "dim": _WIDTH,
            "n_layers": _LAYERS,
            "n_heads": _HEADS,
            "hidden_dim": 2 * _WIDTH,
            "max_position_embeddings": _POSITIONS,
        },
    ),
    "gemma2": Tiny(_DECODER, _WINDOWED | {"query_pre_attn_scalar": 8}),
    "gemma3_text": Tiny(
        _DECODER, _WINDOWED | {"query_pre_attn_scalar": 8, "sliding_window_pattern": 2}
    ),
    "gpt2": Tiny(
        _DECODER,
        {"n_embd": _WIDTH, "n_layer": _LAYERS, "n_head": _HEADS, "n_positions": _POSITIONS},
    ),
    "llama": Tiny(_DECODER, _GROUPED),
    "mistral": Tiny(_DECODER, _WINDOWED),
    "modernbert": Tiny(_MASKED, _COMMON | {"global_attn_every_n_layers": 2, "local_attention": 8}),
    "opt": Tiny(_DECODER, _COMMON | {"ffn_dim": 2 * _WIDTH, "word_embed_proj_dim": _WIDTH}),
    "phi3": Tiny(_DECODER, _COMMON | {"num_key_value_heads": 2, "sliding_window": 8}),
    "qwen2": Tiny(_DECODER, _GROUPED),
    "qwen3": Tiny(_DECODER, _GROUPED),
    "roberta": Tiny(_MASKED, _COMMON),
    "smollm3": Tiny(_DECODER, _GROUPED | {"no_rope_layer_interval": 2}),
    "vit": Tiny(_IMAGES, _COMMON | {"image_size": 8, "patch_size": 2, "num_channels": 1}),
}


def write(family: str, folder: Path) -> None:
    """Writes a random checkpoint of a family with a tokenizer for the shipped reviews."""
    import torch
    import transformers

    kind, settings = TINY[family]
    torch.manual_seed(0)
    if kind is _IMAGES:
        config = transformers.AutoConfig.for_model(family, **settings, num_labels=10)
    else:
        tokenizer = _word_tokenizer() if kind is _MASKED else _shipped_tokenizer()
        tokenizer.save_pretrained(folder)
        special = {name: getattr(tokenizer, name) for name in _SPECIAL}
        config = transformers.AutoConfig.for_model(
            family, **settings, **special, vocab_size=len(tokenizer)
        )
    config.initializer_range = config.init_std = 0.1  # else the logits are hardly above 0
    model = getattr(transformers, kind.head).from_config(config)
    model.save_pretrained(folder)


def read(folder: Path, kind: Kind) -> Any:
    """Loads a checkpoint as a user of transformers would, and requires that every tensor fits."""
    import transformers

    model, info = getattr(transformers, kind.head).from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    if any(info.values()):
        raise ValueError(f"{folder} does not fit {type(model).__name__}: {info}")
    return model.eval()


def with_adapter(model: Any, folder: Path) -> Any:
    """The model with an adapter of PEFT."""
    import peft

    return peft.PeftModel.from_pretrained(model, folder).eval()


def logits(model: Any, kind: Kind, inputs: np.ndarray) -> np.ndarray:
    """What the model computes."""
    import torch

    name = "pixel_values" if kind is _IMAGES else "input_ids"
    with torch.no_grad():
        return model(**{name: torch.tensor(inputs)}).logits.numpy()


_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


def _shipped_tokenizer() -> Any:
    """That of the shipped model, a byte-level BPE."""
    import transformers

    return transformers.AutoTokenizer.from_pretrained(model_source("opt-reviews"))


def _word_tokenizer() -> Any:
    """One token for each word of the reviews, their options included, and one for a mask."""
    import tokenizers
    import transformers
    from tokenizers import models, pre_tokenizers, processors, trainers

    _, examples = tasks.load_task("reviews")
    texts = [text for example in examples["train"] for text in example.candidates]
    # In the order of RoBERTa, which knows the place of padding.
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    words = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special))
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", 0), ("[SEP]", 2)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="[CLS]",
        cls_token="[CLS]",
        eos_token="[SEP]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )
