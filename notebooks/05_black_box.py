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
# # Black-box optimisation
#
# A loss here may be anything that gives a number: a count of mistakes, a simulator, a program that
# is not JAX at all. Two examples without a gradient to speak of: a pole that is balanced by a motor
# which knows only left and right, and the settings of a detector in NumPy, judged by its F1.

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
import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import zojax

# %% [markdown]
# ## A simulator: the pole on a cart
#
# A cart of 1 kg carries a pole of 1 m and 0.1 kg. Fifty times a second it is pushed by 10 N, to
# the left or to the right. A run ends when the pole leans by more than 12° or the cart has gone
# 2.4 m (Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult
# learning control problems", 1983).


# %%
def move(state, push):
    """The state after a fiftieth of a second; (position, speed, angle, angular speed)."""
    _, speed, angle, turning = state
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    swing = (push + 0.05 * turning**2 * sine) / 1.1
    falling = (9.8 * sine - cosine * swing) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    faster = swing - 0.05 * falling * cosine / 1.1
    return state + 0.02 * jnp.array([speed, faster, turning, falling])


def share_upright(policy, start, steps=200):
    """The share of four seconds before the pole falls; of what policy says, the sign counts."""

    def body(carry, _):
        state, upright = carry
        state = move(state, 10.0 * jnp.sign(policy(state)))
        upright &= (jnp.abs(state[0]) < 2.4) & (jnp.abs(state[2]) < 12 * jnp.pi / 180)
        return (state, upright), upright

    _, upright = jax.lax.scan(body, (start, True), length=steps)
    return upright.mean()


# %% [markdown]
# The policy is a small network. The loss is the share of time that is lost, over 16 starts: a
# number of steps, whose derivative is zero wherever it exists.


# %%
class Policy(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(4, 8, rngs=rngs)
        self.out = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, state):
        return self.out(jnp.tanh(self.hidden(state)))[0]


graphdef, params = nnx.split(Policy(nnx.Rngs(0)), nnx.Param)


def time_lost(params, starts):
    policy = nnx.merge(graphdef, params)
    return 1 - jax.vmap(lambda start: share_upright(policy, start))(starts).mean()


def draw_starts(key):
    return jax.random.uniform(key, (16, 4), minval=-0.05, maxval=0.05)


gradient = jax.jit(jax.grad(time_lost))(params, draw_starts(jax.random.key(0)))
print("gradient:", *(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)))

# %% [markdown]
# A radius is then not a small number for a difference quotient. It says how far to look: the
# estimate is that of the loss averaged over a ball of that size, which is smooth. Eight directions
# a step, starts that are drawn anew in every step and are the same for all its directions.

# %%
tx = optax.chain(
    zojax.estimate_gradient(
        jax.random.key(1), zojax.gaussian(), zojax.central(radius=0.3, num_queries=8), chunk_size=8
    ),
    optax.scale_by_adam(),
    optax.scale_by_learning_rate(0.05),
)


@jax.jit
def step(params, state, key):
    starts = draw_starts(key)
    updates, state = tx.update(None, state, params, value_fn=time_lost, starts=starts)
    return optax.apply_updates(params, updates), state


state = tx.init(params)
lost = []
for key in jax.random.split(jax.random.key(2), 100):
    params, state = step(params, state, key)
    lost.append(float(zojax.state_field(state, "value")))
unseen = 4 * (1 - float(time_lost(params, draw_starts(jax.random.key(3)))))
print(f"on starts that it has not seen the pole stands for {unseen:.2f} of 4 seconds")

# %% [markdown]
# ## A program that is not JAX: the settings of a detector
#
# A series of measurements has bursts in it. A detector in plain NumPy smooths the series, compares
# it with a threshold, and joins what it found if the gap is short. Its three settings are to be
# chosen so that F1 over all points is best. `jax.pure_callback` makes a JAX function of it; every
# call leaves the compiled program, gets numbers, and gives one back.


# %%
def make_series(seed, length=2000):
    rng = np.random.default_rng(seed)
    bursts = np.zeros(length, bool)
    for begin in rng.choice(length - 40, 20, replace=False):
        bursts[begin : begin + rng.integers(10, 40)] = True
    return rng.normal(size=length) + 1.2 * bursts, bursts


def detect(settings, series):
    width, threshold, gap = np.exp(settings[0]), settings[1], np.exp(settings[2])
    taps = np.exp(-0.5 * (np.arange(-60, 61) / width) ** 2)
    found = np.convolve(series, taps / taps.sum(), mode="same") > threshold
    edges = np.flatnonzero(np.diff(found.astype(int)))
    for left, right in itertools.pairwise(edges):
        if not found[left + 1] and right - left < gap:
            found[left + 1 : right + 1] = True
    return found


def f1_loss(settings, series, bursts):
    found = detect(np.asarray(settings), series)
    return np.float32(1 - 2 * (found & bursts).sum() / (found.sum() + bursts.sum()))


train_series, test_series = make_series(0), make_series(1)


def detector_loss(settings):
    def ask(settings):
        return f1_loss(settings, *train_series)

    return jax.pure_callback(
        ask, jax.ShapeDtypeStruct((), jnp.float32), settings, vmap_method="sequential"
    )


# %%
settings = jnp.array([0.0, 2.0, 0.0])  # ln of the width, threshold, ln of the gap
detector = zojax.mezo_adam(0.05, jax.random.key(4), radius=0.2, num_queries=4)


@jax.jit
def tune(settings, state):
    updates, state = detector.update(None, state, settings, value_fn=detector_loss)
    return optax.apply_updates(settings, updates), state


state = detector.init(settings)
missed = []
before = [1 - f1_loss(settings, *series) for series in (train_series, test_series)]
for _ in range(150):
    settings, state = tune(settings, state)
    missed.append(float(zojax.state_field(state, "value")))
after = [1 - f1_loss(settings, *series) for series in (train_series, test_series)]
width, threshold, gap = np.exp(settings[0]), settings[1], np.exp(settings[2])
print(f"smoothed over {width:.1f} points, above {threshold:.2f}, gaps below {gap:.1f} are joined")
print(f"F1 {before[0]:.2f} -> {after[0]:.2f}, on another series {before[1]:.2f} -> {after[1]:.2f}")

# %%
losses = {"time lost": lost, "1 - F1": missed}
figure, panels = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
per_step = {"time lost": 16, "1 - F1": 8}
for panel, (name, values) in zip(panels, losses.items(), strict=True):
    panel.plot(per_step[name] * np.arange(1, len(values) + 1), values)
    panel.set(xlabel="loss evaluations", ylabel=name)
    panel.grid(visible=True, alpha=0.3)

# %% [markdown]
# ## To try
#
# - `radius=0.001` for the pole: nearly all differences are zero, and nothing is learned.
# - `zojax.zoar`, which uses the queries of earlier steps once more.
# - Accuracy in the place of a cross-entropy: `python -m experiments.finetune --objective accuracy`.
