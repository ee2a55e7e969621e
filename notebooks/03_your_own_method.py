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
# # Your own method, from parts
#
# A zeroth-order method says where to look, what is made of the losses found there, and how far to
# go. In zojax these are a *sampler*, an *estimator* and *links* of optax. Here we write an
# estimator and a link, and put them together to a method that is not in the library: MeZO with a
# learning rate that sets itself.
#
# ## The idea
#
# Plain descent along random directions, x ← x - η s z with the slope s along z, is stable only for
# η below 2 / Tr H, where H is the Hessian of the loss. So a good η depends on the model and on the
# scale of its loss, and has to be searched. But along z the loss also tells its curvature:
#
#     s = [f(x + r z) - f(x - r z)] / (2 r),     c = [f(x + r z) + f(x - r z) - 2 f(x)] / r²
#
# and the mean of c = zᵀ H z over z is Tr H. For the price of f(x), three evaluations instead of
# two, we can divide by a running mean of c, and η becomes a number of the order of 1 for every
# loss.

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
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import zojax

# %% [markdown]
# ## An estimator
#
# A function of a *probe*, which gives the loss at the params, `probe.base()`, and along the step's
# directions, `probe.along(radii)`. It returns what each direction is multiplied with, and here the
# curvatures too. How directions are drawn, and that they never exist as a whole, is not its
# business. (The library's own of this kind is `zojax.central_with_curvature`.)


# %%
def three_points(radius):
    """Slope and curvature along one direction, of three evaluations."""

    def estimate(state, probe):
        base = probe.base()
        losses = probe.along(radius * jnp.array([1.0, -1.0]))  # (1, 2)
        slopes = (losses[:, 0] - losses[:, 1]) / (2 * radius)
        curvatures = (losses.sum(axis=1) - 2 * base) / radius**2
        return zojax.Estimate(slopes, losses, base, curvatures), state

    return zojax.Estimator(1, lambda: (), estimate, has_curvature=True)


# %% [markdown]
# ## A link
#
# An ordinary optax transformation. Behind `zojax.chain` a link is told what was measured: `value`,
# `coefficients` and, as our estimator has one, `curvature`.


# %%
class ScaleByCurvatureState(NamedTuple):
    count: jax.Array
    mean: jax.Array


def scale_by_curvature(decay=0.95) -> optax.GradientTransformationExtraArgs:
    """Divides by the running mean of |c|, corrected for its start at zero."""

    def init(params):
        return ScaleByCurvatureState(jnp.zeros((), jnp.int32), jnp.zeros(()))

    def update(updates, state, params=None, *, curvature, **extra: Any):
        count = state.count + 1
        mean = decay * state.mean + (1 - decay) * jnp.abs(curvature)
        trace = mean / (1 - decay**count)
        updates = jax.tree.map(lambda u: u / jnp.maximum(trace, 1e-12), updates)
        return updates, ScaleByCurvatureState(count, mean)

    return optax.GradientTransformationExtraArgs(init, update)


# %% [markdown]
# ## The method
#
# The parts in their order. Any of them can be another one: `zojax.rademacher()` draws signs,
# `zojax.factored(rank)` products of thin factors, `optax.trace` behind the scaling is momentum.


# %%
def mezo_by_curvature(learning_rate, key, *, radius=1e-2, sampler=None):
    return zojax.chain(
        zojax.estimate_gradient(key, sampler or zojax.gaussian(), three_points(radius)),
        scale_by_curvature(),
        optax.scale_by_learning_rate(learning_rate),
    )


# %% [markdown]
# ## Is it right?
#
# On a quadratic the mean over directions is known: the estimate is the gradient, the curvature the
# trace of the Hessian. That is how a new part is tested, before anything is trained with it.

# %%
hessian = jnp.diag(jnp.array([1.0, 2.0, 3.0, 4.0]))
x = jnp.array([1.0, -1.0, 2.0, 0.5])


def one_estimate(key):
    tx = zojax.estimate_gradient(key, zojax.gaussian(), three_points(1e-1))
    estimate, state = tx.update(None, tx.init(x), x, value_fn=lambda x: 0.5 * x @ hessian @ x)
    return estimate, state.mean_curvature


keys = jax.random.split(jax.random.key(0), 20_000)
estimates, curvatures = jax.jit(jax.vmap(one_estimate))(keys)
print("mean estimate ", np.round(estimates.mean(axis=0), 2), "gradient", hessian @ x)
print("mean curvature", np.round(curvatures.mean(), 2), "trace", jnp.trace(hessian))

# %% [markdown]
# ## Does it help?
#
# A small regression, and the same with its loss multiplied by 1000, at seven learning rates each.
# We compare at equally many evaluations of the loss, since that is what a step costs.

# %%
graphdef, params = nnx.split(
    nnx.Sequential(
        nnx.Linear(8, 32, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(32, 1, rngs=nnx.Rngs(1))
    ),
    nnx.Param,
)
inputs = jax.random.normal(jax.random.key(1), (256, 8))
targets = inputs[:, :1] * inputs[:, 1:2] + inputs[:, 2:3]


def error(params):
    return ((nnx.merge(graphdef, params)(inputs) - targets) ** 2).mean()


def run(method, scale, learning_rate, evaluations=1800):
    """The error after each step."""
    tx = method(learning_rate, jax.random.key(2))
    per_step = 3 if method is mezo_by_curvature else 2

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(None, state, params, value_fn=lambda p: scale * error(p))
        params = optax.apply_updates(params, updates)
        return (params, state), error(params)

    start = (params, tx.init(params))
    _, errors = jax.lax.scan(step, start, length=evaluations // per_step)
    return errors


# One program for all learning rates of a method: they are arrays, and vmap runs them side by side.
rates = {zojax.mezo: np.logspace(-6, 0, 13), mezo_by_curvature: np.logspace(-2, 1, 7)}
ends = {
    (method, scale): jax.jit(jax.vmap(functools.partial(run, method, scale)))(jnp.array(found))
    for method, found in rates.items()
    for scale in (1.0, 1000.0)
}

# %%
names = {zojax.mezo: "mezo", mezo_by_curvature: "by curvature"}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
losses = {}
for (method, scale), errors in ends.items():
    last = np.nan_to_num(np.asarray(errors[:, -1]), nan=np.inf)
    best = int(last.argmin())
    name = f"{names[method]}, loss × {scale:g}"
    losses[name] = [float(errors[best, 0]), float(errors[best, -1])]
    left.plot(rates[method], np.minimum(last, 3), marker=".", label=name)
    evaluations = 1800 / errors.shape[1] * np.arange(1, errors.shape[1] + 1)
    right.plot(evaluations, errors[best], label=name)
    print(f"{name}: best rate {rates[method][best]:.3g}, error {last[best]:.3f}")
left.set(xscale="log", xlabel="learning rate", ylabel="error at the end")
right.set(yscale="log", xlabel="loss evaluations", ylabel="error, at the best rate")
left.legend()
for panel in (left, right):
    panel.grid(visible=True, alpha=0.3)

# %% [markdown]
# MeZO's best rate moves by the factor of the loss. That of our method stays where it is: its curves
# for both losses lie on each other. What it pays is a third evaluation in every step, and with the
# best rate MeZO is ahead.
#
# ## What does the loss make of a direction?
#
# zojax draws noise where a weight is used. What it cannot follow into an operation is drawn as a
# whole; `explain` says which leaves that are, and why.

# %%
for leaf in zojax.explain(error, params):
    print(f"{leaf.path}, {leaf.shape}: drawn whole by {leaf.primitive}, {leaf.num_bytes} bytes")

# %% [markdown]
# ## To try
#
# - `sampler=zojax.rademacher()`: the curvature along signs varies less from direction to direction.
# - `optax.trace(0.9)` between the scaling and the learning rate.
# - A file of its own in `zojax/methods`, with its card and its proof: "Add a method" in
#   CONTRIBUTING.md has the steps.
