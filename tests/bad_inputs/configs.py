"""A `config.json` with something in it that cannot be."""

import json
import shutil
from pathlib import Path

from tests.bad_inputs.case import BadInput
from zojax import models

MODELS = Path(__file__).parents[1] / "models"
OPT = MODELS / "fixtures" / "pre_norm"
BERT, GPT2, LLAMA, QWEN3, ROBERTA, VIT = (
    MODELS / "stored" / name for name in ("bert", "gpt2", "llama", "qwen3", "roberta", "vit")
)
NAN, DEEP = float("nan"), {"a": [[[{}]]]}


def _of(source, message, **settings):
    """A stored checkpoint whose config has these settings instead of its own."""

    def prepare(folder):
        shutil.copytree(source, folder, dirs_exist_ok=True)
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))
        return lambda: models.from_pretrained(folder)

    said = ", ".join(f"{name}={str(value)[:99]}" for name, value in settings.items())
    return BadInput(f"config of {source.name}: {said}", prepare, rf"config\.json: {message}")


def _text(content, message):
    def prepare(folder):
        (folder / "config.json").write_bytes(content)
        return lambda: models.from_pretrained(folder)

    return BadInput(f"config.json is {content[:20]!r}", prepare, rf"config\.json {message}")


_SIZE, _NUMBER = (
    "must be an integer of at least 1, not",
    "must be a finite number of at least 0, not",
)
_LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "low_freq_factor": 1, "high_freq_factor": 4}

CASES = [
    _text(b"", "is not JSON: Expecting value"),
    _text(b"{", "is not JSON"),
    _text(b"\xff\xfe\x00", "is not JSON: .*utf"),
    _text(b"[" * 100_000, "is not JSON: .*recursion"),
    _text(b'{"vocab_size": ' + b"9" * 5000 + b"}", "is not JSON: .*digit"),
    _text(b"[]", "must hold a JSON object, not a list"),
    _text(b'"opt"', "must hold a JSON object, not a str"),
    _text(b"null", "must hold a JSON object, not a NoneType"),
    _of(OPT, "model_type is None; zojax.models has bert, ", model_type=None),
    _of(OPT, r"model_type is \['opt'\]; zojax.models has", model_type=["opt"]),
    _of(
        OPT,
        r"model_type is 'mamba'; .* Its own code \(auto_map = .*modeling_mamba.* is not run",
        model_type="mamba",
        auto_map={"AutoModelForCausalLM": "modeling_mamba.Mamba"},
    ),
    _of(OPT, "architectures must be a list of names or null, not 'OPT", architectures="OPTModel"),
    _of(OPT, r"architectures must be a list of names or null, not \[7\]", architectures=[7]),
    _of(OPT, f"vocab_size {_SIZE} '40'", vocab_size="40"),
    _of(OPT, f"vocab_size {_SIZE} None", vocab_size=None),
    _of(OPT, f"vocab_size {_SIZE} -40", vocab_size=-40),
    _of(OPT, f"vocab_size {_SIZE} 40.0", vocab_size=40.0),
    _of(OPT, f"hidden_size {_SIZE} True", hidden_size=True),
    _of(OPT, rf"hidden_size {_SIZE} \[16\]|hidden_size {_SIZE} \(16,\)", hidden_size=[16]),
    _of(OPT, f"hidden_size {_SIZE} nan", hidden_size=NAN),
    _of(OPT, rf"ffn_dim {_SIZE} \{{'a'", ffn_dim=DEEP),
    _of(OPT, "hidden_size must fit 32 bits, but is 1000000000000000000", hidden_size=10**18),
    _of(OPT, "num_hidden_layers is 100000000, but .* 36 tensors", num_hidden_layers=10**8),
    _of(OPT, "num_attention_heads = 3 must divide hidden_size = 16", num_attention_heads=3),
    _of(OPT, "word_embed_proj_dim .*of at least 1 or null, not 0", word_embed_proj_dim=0),
    _of(OPT, "do_layer_norm_before must be true or false, not 'no'", do_layer_norm_before="no"),
    _of(OPT, "enable_bias must be true or false, not 1", enable_bias=1),
    _of(OPT, "activation_function must be a string, not None", activation_function=None),
    _of(OPT, "activation_function is 'sine'; zojax.models has relu", activation_function="sine"),
    _of(OPT, f"init_std {_NUMBER} inf", init_std=float("inf")),
    _of(OPT, "pad_token_id must be an integer or null, not 'pad'", pad_token_id="pad"),
    _of(OPT, "eos_token_id must be .* a list, each an integer or null, not", eos_token_id=[2, "3"]),
    _of(OPT, "num_labels must be an integer from 1 to 1048576, not 0", num_labels=0),
    _of(OPT, "num_labels must be an integer .* not 1000000000", num_labels=10**9),
    _of(OPT, "num_labels must be an integer .* not '5'", num_labels="5"),
    _of(OPT, r"id2label must be an object .* not \['a', 'b'\]", id2label=["a", "b"]),
    _of(OPT, r"id2label must be an object .* not \{\}", id2label={}),
    _of(OPT, 'id2label must have the keys "0" to "1", .*, not', id2label={"1": "a", "2": "b"}),
    _of(OPT, 'id2label must have the keys "0" to "0", .*, not', id2label={"zero": "a"}),
    _of(OPT, 'id2label must have the keys "0" to "0", .* not', id2label={"0": None}),
    _of(
        OPT,
        "quantization_config has quant_method = 'gptq'",
        quantization_config={"quant_method": "gptq", "bits": 4},
    ),
    _of(
        OPT,
        "quantization_config has quant_method = 'awq'",
        quantization_config={"quant_method": "awq", "bits": 4},
    ),
    _of(
        OPT,
        "quantization_config has quant_method = 'bitsandbytes'",
        quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True},
    ),
    _of(
        OPT,
        "quantization_config has quant_method = 'compressed-tensors'",
        quantization_config={"quant_method": "compressed-tensors"},
    ),
    _of(OPT, "quantization_config has quant_method = 'fp8'", quantization_config="fp8"),
    _of(OPT, "compression_config has quant_method = ", compression_config={"format": "dense"}),
    _of(BERT, f"type_vocab_size {_SIZE} '2'", type_vocab_size="2"),
    _of(BERT, "is_decoder is True; zojax.models has bert only", is_decoder=True),
    _of(BERT, f"layer_norm_eps {_NUMBER} -1e-12", layer_norm_eps=-1e-12),
    _of(BERT, "position_embedding_type is 'relative", position_embedding_type="relative_key"),
    _of(ROBERTA, "pad_token_id must be an integer from 0 to .* it is None", pad_token_id=None),
    _of(GPT2, f"n_embd {_SIZE} None", n_embd=None),
    _of(GPT2, "n_layer is 100000000, but the files beside it hold no more", n_layer=10**8),
    _of(GPT2, f"layer_norm_epsilon {_NUMBER} '1e-5'", layer_norm_epsilon="1e-5"),
    _of(GPT2, "add_cross_attention is true", add_cross_attention=True),
    _of(LLAMA, "rope_parameters must be an object or null, not 'llama3'", rope_parameters="llama3"),
    _of(LLAMA, r"rope_scaling must be an object or null, not \[2\]", rope_scaling=[2]),
    _of(
        LLAMA,
        "rope_theta must be a finite number, not 'big'",
        rope_parameters={"rope_theta": "big"},
    ),
    _of(LLAMA, "rope_type .* needs rope_theta above 0", rope_parameters={"rope_theta": -1}),
    _of(
        LLAMA,
        "factor must be a finite number or null, not inf",
        rope_parameters=_LLAMA3 | {"factor": float("inf")},
    ),
    _of(
        LLAMA,
        "rope_type .* needs factor above 0 .*, not None",
        rope_parameters=_LLAMA3,
    ),
    _of(
        LLAMA,
        r"rope_type must be a string, not \['linear'\]",
        rope_parameters={"rope_type": ["linear"], "factor": 2},
    ),
    _of(LLAMA, "rope_parameters has mystery", rope_parameters={"mystery": 1}),
    _of(LLAMA, "head_dim = 7 must be even", head_dim=7),
    _of(LLAMA, "num_key_value_heads = 3 must divide num_attention_heads", num_key_value_heads=3),
    _of(
        LLAMA, "tie_word_embeddings must be true or false, not 'false'", tie_word_embeddings="false"
    ),
    _of(LLAMA, f"rms_norm_eps {_NUMBER} None", rms_norm_eps=None),
    _of(QWEN3, "attention_bias must be true or false, not 'yes'", attention_bias="yes"),
    _of(VIT, r"image_size must be .* or a list of 2, each .*, not \(6, '6'\)", image_size=[6, "6"]),
    _of(VIT, "image_size must be an integer of at least 1 or .*, not None", image_size=None),
    _of(VIT, "qkv_bias must be true or false, not None", qkv_bias=None),
]
