"""Two adapted layers without a model, their losses, and what a method does to them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import zojax

SIDES = {"k": (4, 3), "v": (2, 5)}
RANKS = {"k": 2, "v": 3}
GRADIENTS = {
    name: np.random.default_rng(seed).normal(size=sides)
    for seed, (name, sides) in enumerate(SIDES.items(), 5)
}


def adapter(ranks=RANKS, dtype=float, seed=0):
    """Factors of two layers, none of them zero."""
    rng = np.random.default_rng(seed)
    return {
        name: {
            "lora_a": jnp.array(rng.normal(size=(SIDES[name][0], rank)), dtype),
            "lora_b": jnp.array(rng.normal(size=(rank, SIDES[name][1])), dtype),
        }
        for name, rank in ranks.items()
    }


def products(x):
    return {name: layer["lora_a"] @ layer["lora_b"] for name, layer in x.items()}


def curved(x, numbers=jnp):
    """A logistic loss of the entries of both products."""
    return sum(
        numbers.mean(numbers.log1p(numbers.exp(-3 * GRADIENTS[name] * w)))
        for name, w in products(x).items()
    )


def linear(x, scale=1.0):
    """f linear in W with G = GRADIENTS; each loss starts from a base as that of a model does."""
    return 0.3 + scale * sum(jnp.sum(GRADIENTS[name] * w) for name, w in products(x).items())


def trajectory(tx, x, loss, steps, **extra):
    """The params before every step and after the last, stacked, and the slopes."""

    @jax.jit
    def run(x):
        def step(carry, _):
            x, state = carry
            updates, state = tx.update(None, state, x, value_fn=loss, **extra)
            x = optax.apply_updates(x, updates)
            return (x, state), (x, optax.tree.get(state, "coefficients")[0])

        _, (path, slopes) = jax.lax.scan(step, (x, tx.init(x)), length=steps)
        return jax.tree.map(
            lambda first, rest: jnp.concatenate([first[None], rest]), x, path
        ), slopes

    return run(x)


def drawn(key, x, steps, **options):
    """What the method draws, dense, stacked over steps."""
    labels = zojax.atom_labels(layers=options.pop("layers", "all"))
    sampler = zojax.blocks(zojax.gaussian(), labels, order=options.pop("schedule", "cyclic"))

    @jax.jit
    @jax.vmap
    def dense(step):
        one = jax.tree.map(lambda array: array[0], sampler.recall(key, step, 1, x))
        return zojax.materialize(one, x)

    return jax.tree.map(np.asarray, dense(jnp.arange(steps)))
