"""Slopes that atoms of an adapter measure at its start, with and without noise in the loss."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import zojax
from experiments._ar1_toy import with_noise
from zojax import lora


class Parallel(nnx.Module):
    """Linear layers side by side: whatever is linear in the outputs is linear in the weights."""

    def __init__(self, layers: int, width: int, rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(width, width, rngs=rngs) for _ in range(layers)])

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.stack([layer(x) for layer in self.layers])


def measured(
    rank: int, s: float, *, radius: float, noise: float, directions: int
) -> tuple[float, ...]:
    """Signal, its closed form, ratio, its closed form, accuracy of signs, its closed form."""
    model = Parallel(layers=2, width=64, rngs=nnx.Rngs(0))
    model = lora.adapt(model, "layers.*", rank=rank, scale=s, key=jax.random.key(1))
    graphdef, adapter, frozen = nnx.split(model, nnx.LoRAParam, ...)
    x, weights = jnp.eye(64), jax.random.normal(jax.random.key(2), (2, 64, 64)) / 16

    def loss(adapter, noise, key):
        outputs = nnx.merge(graphdef, adapter, frozen)(x)
        return with_noise(jnp.sum(weights * outputs), noise, key)

    tx = zojax.ar1_zo(0.0, jax.random.key(3), radius=radius)

    def slopes(noise):
        def step(state, count):
            key = jax.random.fold_in(jax.random.key(4), count)
            _, state = tx.update(None, state, adapter, value_fn=loss, noise=noise, key=key)
            return state, zojax.state_field(state, "coefficients")[0]

        return jax.lax.scan(step, tx.init(adapter), jnp.arange(directions))[1]

    pair = jax.jit(jax.vmap(slopes))(jnp.array([0.0, noise]))
    clean, noisy = np.asarray(pair, np.float64)
    factors = [layer["lora_a"][...] for layer in nnx.to_pure_dict(adapter)["layers"].values()]
    norms = [jnp.sum((g.T @ a) ** 2, 0) for g, a in zip(weights, factors, strict=True)]
    return _compared(clean, noisy, s * float(jnp.sqrt(jnp.mean(sum(norms)))), radius / noise)


def _compared(clean, noisy, tau: float, radius_over_noise: float) -> tuple[float, ...]:
    expected = 2 * (radius_over_noise * tau) ** 2
    power = np.mean(clean**2)
    agreed = np.mean(np.sign(clean) == np.sign(noisy))
    ratio = power / np.mean((noisy - clean) ** 2)
    numbers = (power**0.5, tau, ratio, expected, agreed, sign_accuracy(expected))
    return tuple(map(float, numbers))


def sign_accuracy(ratio: float) -> float:
    """P(sign of δ + ν = sign of δ) for δ, ν ~ N(0, ·) with this ratio of variances."""
    return 0.5 + np.arctan(np.sqrt(ratio)) / np.pi
