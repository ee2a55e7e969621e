"""Adapters of PEFT, LoRA and prefixes, that are damaged or of another kind."""

import functools
import json
import os

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx
from safetensors.numpy import load_file, save_file

from tests.bad_inputs.case import BadInput
from zojax import lora, prefix
from zojax.models import OPT, OPTConfig

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@functools.cache
def model():
    config = OPTConfig(
        vocab_size=16,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=8,
        max_position_embeddings=8,
    )
    return OPT(config, rngs=nnx.Rngs(0))


def _case(part, name, change, message):
    """An adapter that `part` (lora or prefix) wrote, after `change(folder)`."""

    def prepare(folder):
        if part is lora:
            adapted = lora.adapt(model(), ("q_proj",), rank=2, scale=1.0, key=jax.random.key(0))
        else:
            adapted = prefix.adapt(model(), tokens=jnp.arange(3))
        part.save_peft(adapted, folder)
        change(folder)
        return lambda: part.load_peft(model(), folder)

    return BadInput(f"{part.__name__.removeprefix('zojax.')}: {name}", prepare, message)


def _set(part, message, **settings):
    def change(folder):
        path = folder / CONFIG
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    said = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return _case(part, said, change, rf"{CONFIG}.*{message}")


def _write(file, content):
    return lambda folder: (folder / file).write_bytes(content)


def _cast(dtype):
    def change(folder):
        tensors = load_file(folder / WEIGHTS)
        save_file({n: a.astype(dtype) for n, a in tensors.items()}, folder / WEIGHTS)

    return change


def _renamed(folder):
    (array,) = load_file(folder / WEIGHTS).values()
    save_file({"prefix": array}, folder / WEIGHTS)


def _linked_out(name):
    def change(folder):
        elsewhere = folder.parent / f"{folder.name}-{name}"
        (folder / name).rename(elsewhere)
        (folder / name).symlink_to(os.path.join("..", elsewhere.name))

    return change


_POSITIVE = "both must be numbers above 0"

CASES = [
    _case(lora, "config is []", _write(CONFIG, b"[]"), "must hold a JSON object, not a list"),
    _case(lora, "config is {", _write(CONFIG, b"{"), f"{CONFIG} is not JSON"),
    _case(
        lora, "config is a link out", _linked_out(CONFIG), f"{CONFIG} leads to .* outside of the"
    ),
    _case(
        lora, "weights are a link out", _linked_out(WEIGHTS), f"{WEIGHTS} leads to .* outside of"
    ),
    _case(lora, "weights are empty", _write(WEIGHTS, b""), f"{WEIGHTS} is damaged"),
    _case(lora, "weights are text", _write(WEIGHTS, b"lora " * 20), f"{WEIGHTS} is damaged"),
    _case(lora, "int8", _cast(np.int8), f"{WEIGHTS}: .*lora_[AB].* has dtype I8, but adapters are"),
    _case(lora, "int32", _cast(np.int32), f"{WEIGHTS}: .*lora_[AB].* has dtype I32"),
    _case(lora, "float8", _cast(ml_dtypes.float8_e4m3fn), f"{WEIGHTS}: .* has dtype F8_E4M3"),
    _set(lora, f"r = True and lora_alpha = .*{_POSITIVE}", r=True),
    _set(lora, f"r = '2' and lora_alpha = .*{_POSITIVE}", r="2"),
    _set(lora, f"lora_alpha = nan; {_POSITIVE}", lora_alpha=float("nan")),
    _set(lora, f"lora_alpha = inf; {_POSITIVE}", lora_alpha=float("inf")),
    _set(lora, f"lora_alpha = -2; {_POSITIVE}", lora_alpha=-2),
    _set(lora, "use_rslora = 'no'; it must be true or false", use_rslora="no"),
    _set(lora, "has use_dora = True, which zojax.lora does not offer", use_dora=True),
    _set(lora, "has peft_type = 'PREFIX_TUNING'", peft_type="PREFIX_TUNING"),
    _set(lora, r"has rank_pattern = \[1\]", rank_pattern=[1]),
    _case(prefix, "config is []", _write(CONFIG, b"[]"), "must hold a JSON object, not a list"),
    _case(prefix, "config is {", _write(CONFIG, b"{"), f"{CONFIG} is not JSON"),
    _case(prefix, "weights are text", _write(WEIGHTS, b"prefix " * 9), f"{WEIGHTS} is damaged"),
    _case(prefix, "int8", _cast(np.int8), f"{WEIGHTS}: prompt_embeddings has dtype I8"),
    _case(prefix, "another name", _renamed, r"hold prompt_embeddings alone, not \['prefix'\]"),
    _set(prefix, "peft_type 'LORA', not PREFIX_TUNING", peft_type="LORA"),
    _set(prefix, "peft_type None, not PREFIX_TUNING", peft_type=None),
    _set(prefix, "num_virtual_tokens must be .* not 0", num_virtual_tokens=0),
    _set(prefix, "num_virtual_tokens must be .* not '3'", num_virtual_tokens="3"),
    _set(prefix, "num_virtual_tokens must be .* not None", num_virtual_tokens=None),
    BadInput(
        "prefix: a length that is not the tensor's",
        lambda folder: _set(prefix, "", num_virtual_tokens=10**12).prepare(folder),
        r"a prefix of shape \(3, 16\); .* it is \(1000000000000, 16\)",
    ),
]
