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
# # First steps
#
# A zeroth-order method trains a model by evaluating its loss and nothing else: it tries a small
# step in a random direction, measures how the loss changes, and moves accordingly. There is no
# backward pass, so nothing has to be kept for one.
#
# Here we train a small Flax model of our own twice: with a ready method, `zojax.mezo`, and with a
# chain that we put together from parts. It takes less than a minute on a CPU.

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
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax import nnx

import zojax

# %% [markdown]
# ## Data and model
#
# Two half moons that reach into each other, 256 points, and a network with one hidden layer that
# tells them apart.


# %%
def two_moons(key, number):
    key_angle, key_noise = jax.random.split(key)
    angle = jax.random.uniform(key_angle, (number,), maxval=jnp.pi)
    upper = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    lower = jnp.stack([1 - jnp.cos(angle), 0.5 - jnp.sin(angle)], axis=1)
    labels = jnp.arange(number) % 2
    points = jnp.where(labels[:, None] == 0, upper, lower)
    return points + 0.1 * jax.random.normal(key_noise, points.shape), labels


class Network(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(2, 32, rngs=rngs)
        self.out = nnx.Linear(32, 2, rngs=rngs)

    def __call__(self, points):
        return self.out(jnp.tanh(self.hidden(points)))


points, labels = two_moons(jax.random.key(0), 256)
graphdef, params = nnx.split(Network(nnx.Rngs(1)), nnx.Param)

# %% [markdown]
# ## The loss
#
# An ordinary function of the parameters and a batch that returns one number. It knows nothing of
# zojax, and it need not be differentiable.


# %%
def loss(params, batch):
    points, labels = batch
    logits = nnx.merge(graphdef, params)(points)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


# %% [markdown]
# ## Training
#
# An optimizer of zojax is an optax transformation. What differs from training by gradients:
# `update` takes no gradient (`None`) but the loss, as `value_fn`. Further arguments, like `batch`,
# reach the loss by name. For logging, `zojax.state_field` reads from the state the mean loss of the
# points that were tried, and how many evaluations have been spent.


# %%
def train(tx, params, steps=2000, log_every=20):
    @jax.jit
    def step(params, state):
        updates, state = tx.update(None, state, params, value_fn=loss, batch=(points, labels))
        return optax.apply_updates(params, updates), state

    state = tx.init(params)
    evaluations, values = [], []
    for count in range(1, steps + 1):
        params, state = step(params, state)
        if count == 1 or count % log_every == 0:
            evaluations.append(int(zojax.state_field(state, "num_evaluations")))
            values.append(float(zojax.state_field(state, "value")))
    return params, evaluations, values


# %% [markdown]
# Two ways to write down a method. MeZO looks along one gaussian direction a step, on both sides,
# and moves along it by plain descent. The chain measures in the same way but along random signs,
# and hands the estimate to Adam, to which it is a gradient like any other.

# %%
methods = {
    "mezo": zojax.mezo(learning_rate=0.05, key=jax.random.key(2)),
    "signs, then Adam": optax.chain(
        zojax.estimate_gradient(jax.random.key(2), zojax.rademacher(), zojax.central(radius=1e-3)),
        optax.scale_by_adam(),
        optax.scale_by_learning_rate(0.02),
    ),
}

losses, trained = {}, {}
for name, tx in methods.items():
    trained[name], evaluations, losses[name] = train(tx, params)
    predictions = nnx.merge(graphdef, trained[name])(points).argmax(axis=1)
    accuracy = (predictions == labels).mean()
    print(f"{name}: loss {losses[name][-1]:.3f}, accuracy {accuracy:.1%}")

# %% [markdown]
# ## What it cost
#
# Without gradients, what a method spends is loss evaluations, so that is the fair axis. Both
# methods make two a step.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for name, values in losses.items():
    left.plot(evaluations, values, label=name)
left.set(xlabel="loss evaluations", ylabel="loss", yscale="log")
left.grid(visible=True, alpha=0.3)
left.legend()

x, y = jnp.meshgrid(jnp.linspace(-1.6, 2.6, 120), jnp.linspace(-1.1, 1.6, 120))
grid = jnp.stack([x, y], axis=-1)
scores = jax.nn.softmax(nnx.merge(graphdef, trained["mezo"])(grid))[..., 1]
shades = right.contourf(x, y, scores, levels=11, cmap="RdBu", alpha=0.6)
right.scatter(*points.T, c=labels, cmap="RdBu", s=12, edgecolors="0.3", linewidths=0.4)
right.set(title="what mezo learned", xlabel="first coordinate", ylabel="second coordinate")
bar = figure.colorbar(shades)
bar.set_label("probability of the lower moon")

# %% [markdown]
# ## To try
#
# With `zojax.central(radius=1e-3, num_queries=8)` a step averages eight directions and costs
# sixteen evaluations. The estimate is less noisy, so it bears a larger learning rate. At an equal
# number of evaluations, is it better to look along many directions and move seldom, or along one
# and move often?
