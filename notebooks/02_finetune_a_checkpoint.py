# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fine-tune a Hugging Face checkpoint and send it back
#
# A checkpoint comes in, is trained without a backward pass, and goes out in the format that it
# came in, which `transformers` reads. The model and the reviews are the small synthetic ones of
# the repository, so that this runs in a minute on a CPU. With your own, only the folder or the id
# in the second cell differs.

# %%
# Where zojax is missing, as on a fresh machine of Colab: from a wheel beside this notebook, from a
# clone of the repository, or else from the package index, with jax for the accelerator that is
# there.
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("zojax") is None:
    wheels = sorted(Path().glob("zojax-*.whl"))
    clones = [path for path in (Path(".."), Path("zojax")) if (path / "pyproject.toml").exists()]
    source = next((str(path.resolve()) for path in wheels + clones), "zojax")
    is_gpu = shutil.which("nvidia-smi") is not None
    is_tpu = Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()
    jax_source = "jax[cuda12]" if is_gpu else "jax[tpu]" if is_tpu else "jax"
    packages = [f"{source}[models]", jax_source, "matplotlib", "tokenizers"]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *packages], check=True)
    importlib.invalidate_caches()
# %%
import json
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx
from tokenizers import Tokenizer

import zojax
from zojax import models, training

# The repository around this notebook, or a clone beside it.
places = [Path.cwd(), *Path.cwd().parents, Path("zojax")]
assets = next(path for path in (place / "experiments/assets" for place in places) if path.is_dir())
checkpoint = assets / "opt-reviews"  # a folder, or an id of the Hub such as "facebook/opt-125m"

# %% [markdown]
# ## In
#
# `from_pretrained` reads `config.json`, chooses the family (here OPT, a decoder) and loads the
# weights as a Flax NNX model.

# %%
model = models.from_pretrained(checkpoint)
tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
num_weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model)))
print(f"{type(model).__name__}, {num_weights:,} weights")

# %% [markdown]
# ## The task
#
# As in MeZO's paper, the model answers in words: behind a review stands "It was", and the review
# is a good one if "great" is more likely to come next than "terrible". All prompts are cut or
# padded to one length, and the answer is read at the last token of each.

# %%
answers = [tokenizer.encode(f"It was {word}").ids[-1] for word in ("terrible", "great")]


def read(split, number, length=40):
    lines = (assets / "reviews" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:number]]
    prompts = [tokenizer.encode(f"{row['text']} It was").ids[-length:] for row in rows]
    tokens = np.zeros((len(rows), length), np.int32)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    last = np.array([len(prompt) - 1 for prompt in prompts], np.int32)
    return {"tokens": tokens, "last": last, "labels": np.array([row["label"] for row in rows])}


train, test = read("train", 1000), read("test", 300)
print(tokenizer.decode(train["tokens"][0][: train["last"][0] + 1]), "->", train["labels"][0])


# %% [markdown]
# ## What is trained
#
# All weights. `nnx.split` takes the model apart into what it computes and what is trained. The
# loss puts it together again; it is an ordinary function, and knows nothing of zojax. A causal
# model does not see the padding behind its last token.

# %%
graphdef, params = nnx.split(model, nnx.Param)


def scores(params, tokens, last):
    """How likely each answer is, (batch, 2)."""
    logits = nnx.merge(graphdef, params)(tokens)
    return jnp.take_along_axis(logits, last[:, None, None], axis=1)[:, 0, jnp.array(answers)]


def loss(params, tokens, last, labels):
    found = scores(params, tokens, last)
    return optax.softmax_cross_entropy_with_integer_labels(found, labels).mean()


@jax.jit
def accuracy(params, tokens, last, labels):
    return (scores(params, tokens, last).argmax(axis=1) == labels).mean()


# %% [markdown]
# ## Training
#
# MeZO's estimate with Adam behind it, `zojax.mezo_adam`: two evaluations of the loss a step.
# `training.make_step` compiles the step, donates params and state so that the weights exist once,
# and gives back what it measured.

# %%
steps, batch_size = 300, 16
tx = zojax.mezo_adam(learning_rate=1e-3, key=jax.random.key(1))
step = training.make_step(tx, loss)
state = tx.init(params)
accuracy_before = float(accuracy(params, **test))

rng = np.random.default_rng(0)
measured_values = []
for _ in range(steps):
    rows = rng.choice(len(train["labels"]), batch_size, replace=False)
    batch = {name: column[rows] for name, column in train.items()}
    params, state, measured = step(params, state, **batch)
    measured_values.append(measured["value"])

values = np.array(measured_values).reshape(-1, 20).mean(axis=1)
losses = {"mezo_adam": values}
accuracy_after = float(accuracy(params, **test))
print(f"accuracy {accuracy_before:.1%} before, {accuracy_after:.1%} after")
print(f"{int(measured['num_evaluations']):,} evaluations of the loss")

# %%
figure, panel = plt.subplots(figsize=(6, 3.4), layout="constrained")
panel.plot(40 * np.arange(1, len(values) + 1), values)
panel.set(xlabel="loss evaluations", ylabel="loss, mean of 20 steps")
panel.grid(visible=True, alpha=0.3)

# %% [markdown]
# ## Out
#
# `save_pretrained` writes `config.json` and `model.safetensors` under the names that `transformers`
# gives them. Read again, it gives the same logits.

# %%
out = Path(tempfile.mkdtemp())
trained = nnx.merge(graphdef, params)
trained.save_pretrained(out)
again = models.from_pretrained(out)
text = test["tokens"][:4]
apart = float(jnp.abs(again(text) - trained(text)).max())
print(sorted(path.name for path in out.iterdir()), "apart by", apart)

# %% [markdown]
# What it says of a review of our own:

# %%
for review in ("The soup was far from bad.", "Nobody liked the soup."):
    ids = np.array([tokenizer.encode(f"{review} It was").ids])
    likely = jax.nn.softmax(again(ids)[0, -1, jnp.array(answers)])
    print(f"{review} It was ... great {likely[1]:.0%}, terrible {likely[0]:.0%}")

# %% [markdown]
# ## To try
#
# - An adapter: `lora.adapt(model, ("q_proj", "v_proj"), rank=8, scale=2.0, key=key)` of
#   `zojax.lora`, then `nnx.split(adapted, nnx.LoRAParam, ...)`. What is frozen goes to the loss as
#   an argument, and `lora.save_peft` writes a few kilobytes that PEFT reads.
# - All of this with validation, checkpoints and a search for the learning rate is one command:
#   `python -m experiments.finetune --model FOLDER_OR_ID --task my_rows.jsonl --learning-rate auto`.
