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
# # Many devices, and a run in a few kilobytes
#
# Directions follow from a key. So devices never send them to each other, and a run can be made
# again from the losses that it measured, without data and without evaluating anything. Both are
# shown here with eight virtual devices of a CPU; on a machine with several accelerators the same
# cells use those.

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
import tempfile
import zlib

import jax

jax.config.update("jax_num_cpu_devices", 8)  # before jax is used for the first time

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import zojax
from zojax import training

devices = jax.devices() if len(jax.devices()) > 1 else jax.devices("cpu")
print(len(devices), "devices of kind", devices[0].device_kind)

# %% [markdown]
# ## A model, a loss, a method
#
# Nothing in them knows of devices, but for one word: `axes` says which axis of a mesh, if there is
# one, has groups of devices that look along different directions.


# %%
class Network(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(8, 32, rngs=rngs)
        self.out = nnx.Linear(32, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(jnp.tanh(self.hidden(x)))


graphdef, start = nnx.split(Network(nnx.Rngs(0)), nnx.Param)
inputs = jax.random.normal(jax.random.key(1), (256, 8))
data = {"x": inputs, "y": jnp.sin(inputs[:, :1]) + inputs[:, 1:2]}


def loss(params, x, y):
    return ((nnx.merge(graphdef, params)(x) - y) ** 2).mean()


no_axes = zojax.Axes()


def method(axes=no_axes):
    return zojax.mezo(1e-2, jax.random.key(2), num_queries=4, axes=axes)


def train(params, state, data, step, steps=300):
    """Returns the params at the end, and the losses of each step as the state has them."""
    measured_losses = []
    for _ in range(steps):
        params, state, measured = step(params, state, **data)
        # Read at once: virtual devices share the cores, and steps that wait for each other's
        # sums in a queue may leave none for the one that they wait for.
        measured_losses.append(np.asarray(measured["last_losses"]).reshape(-1))
    return params, np.array(measured_losses)


def copy(tree):
    """A step takes the buffers that it is given, so each run gets its own."""
    return jax.tree.map(jnp.copy, tree)


# %% [markdown]
# ## The same run on three meshes
#
# One device; eight that share the rows of the batch; and eight in two groups of four, where each
# group looks along half of the directions and shares the rows among its four.

# %%
meshes = {
    "one device": (1, 1),
    "rows over 8": (8, 1),
    "rows over 4, directions over 2": (4, 2),
}
trained, measured_losses, programs = {}, {}, {}
for name, (rows, groups) in meshes.items():
    mesh = jax.sharding.Mesh(
        np.array(devices[: rows * groups]).reshape(rows, groups),
        ("rows", "directions"),
        axis_types=(AxisType.Auto, AxisType.Auto),
    )
    axes = zojax.Axes(query="directions") if groups > 1 else no_axes
    with jax.set_mesh(mesh):
        everywhere = NamedSharding(mesh, PartitionSpec())
        params = jax.device_put(copy(start), everywhere)
        state = jax.device_put(method(axes).init(params), everywhere)
        parts = jax.device_put(data, NamedSharding(mesh, PartitionSpec("rows")))
        step = training.make_step(method(axes), loss)
        programs[name] = step.lower(params, state, **parts).compile()
        trained[name], measured_losses[name] = train(params, state, parts, step)

losses = {name: values.mean(axis=1) for name, values in measured_losses.items()}
for name, values in losses.items():
    apart = jax.tree.map(
        lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()),
        *(nnx.to_pure_dict(trained[other]) for other in (name, "one device")),
    )
    print(f"{name}: loss {values[-1]:.4f}, weights apart by {max(jax.tree.leaves(apart)):.1e}")

# %% [markdown]
# They are the same but for the order in which losses are summed. What the devices send is in the
# compiled program, as its collective operations: a few numbers, whatever the size of the model.

# %%
for name, program in programs.items():
    lines = [line.strip() for line in program.as_text().splitlines()]
    sent = [line.split(" = ")[1].split("(")[0] for line in lines if "all-reduce(" in line]
    print(f"{name}:", sent or "nothing")

# %%
figure, panel = plt.subplots(figsize=(6, 3.4), layout="constrained")
for (name, values), style in zip(losses.items(), ("-", "--", ":"), strict=True):
    panel.plot(8 * np.arange(1, len(values) + 1), values, style, label=name)
panel.set(xlabel="loss evaluations", ylabel="loss", yscale="log")
panel.legend()
panel.grid(visible=True, alpha=0.3)

# %% [markdown]
# ## A seed log
#
# What the run measured is eight losses a step. `SeedLog` writes them into a file, with a mark: a
# fingerprint of the weights, so that a copy can be checked.

# %%
path = Path(tempfile.mkdtemp()) / "seed_log.bin"
of_one = trained["one device"]


def fingerprint(params):
    """32 bits, of the hashes of all leaves."""
    return zlib.crc32(training.fingerprint(params).tobytes())


with training.SeedLog(path, {"num_losses": 8, "start": "nnx.Rngs(0)", "key": 2}) as log:
    log.append(measured_losses["one device"])
    log.mark(float(losses["one device"][-1]), fingerprint(of_one))
print(f"{path.stat().st_size:,} bytes; 13 a step and 4 for each of its losses")

# %% [markdown]
# Whoever has the start and the log makes the run again. There is no data here, and no loss:
# `make_replay` tells the method what was measured, and the method draws the same directions.

# %%
contents = training.read_seed_log(path)
replay = training.make_replay(method())
params = copy(start)
state = method().init(params)
for of_step in contents.losses:
    params, state = replay(params, state, of_step)

(mark,) = contents.marks.values()
same_fingerprint = fingerprint(params) == mark.fingerprint
pairs = zip(jax.tree.leaves(params), jax.tree.leaves(of_one), strict=True)
same_bits = all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
print(f"{len(contents.losses)} steps: same bits {same_bits}, same fingerprint {same_fingerprint}")

# %% [markdown]
# ## To try
#
# - A byte of the log changed: `read_seed_log` names the place and refuses the log.
# - `python -m experiments.finetune --mesh data=2,model=4 --shard tensor` cuts the weights of a
#   decoder over devices as well, and `python -m experiments.replay` makes a run of it again.
