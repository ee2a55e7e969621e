"""A small vision transformer that learned from the digits 0 to 4, and the digits 5 to 9 as a task.

    python -m experiments.pretrain.digits --out runs/digits
    python -m experiments.finetune --model runs/digits/vit --task digits@runs/digits/5-to-9

Layers and data are those of `experiments.papers`: four layers of width 48, taught by gradients in
seconds. The classifier, of all ten digits, is zero.
"""

import argparse
import dataclasses
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments import tasks
from experiments._images import save_image_format
from experiments.papers.digits import HALF, Split, halves, pretrained
from zojax.models import ViT

WIDTH, DEPTH = 48, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/digits"))
    out = parser.parse_args().out
    save_model(pretrained(WIDTH, DEPTH), out / "vit")
    save_task(out / "5-to-9")
    print(f"python -m experiments.finetune --model {out}/vit --task digits@{out}/5-to-9")


def save_model(taught: ViT, folder: pathlib.Path) -> None:
    """Writes the checkpoint: all that was taught but the classifier."""
    config = dataclasses.replace(taught.config, labels=tuple("0123456789"))
    graphdef, params = nnx.split(ViT(config, rngs=nnx.Rngs(0)), nnx.Param)
    classifier = jax.tree.map(jnp.zeros_like, params["classifier"])
    params = nnx.State({**nnx.state(taught, nnx.Param), "classifier": classifier})
    nnx.merge(graphdef, params).save_pretrained(folder)
    save_image_format(tasks.ImageFormat(size=8, channels=1), folder)


def save_task(folder: pathlib.Path) -> None:
    """Writes pictures for training, of which the task takes some for validation, and for test."""
    five_to_nine = halves()[1]
    parts = {"train": ("train", "validation"), "test": ("test",)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, splits in parts.items():
        lines = [json.dumps(row) + "\n" for split in splits for row in rows(five_to_nine[split])]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def rows(split: Split) -> list[dict[str, Any]]:
    """A row for each picture: gray values 0 … 255, and the digit."""
    pixels = np.rint((np.asarray(split.images)[:, 0] + 1) * 127.5).astype(int)
    return [
        {"image": image.tolist(), "label": HALF + int(label)}
        for image, label in zip(pixels, split.labels, strict=True)
    ]


if __name__ == "__main__":
    main()
