"""Four functions of a vector θ with d entries, as the synthetic experiments on ZoAR use them.

Each is 0 at its minimum and nowhere below. Sums are not divided by d, and the start is N(0, I),
without a shift or bounds. Other papers use other variants under the same names: Levy without the
first entries in its sum, Ackley with another frequency.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def quadratic(x: jax.Array) -> jax.Array:
    """½ Σ θ_i²; the minimum is at 0. From N(0, I) it starts at d/2."""
    return 0.5 * jnp.sum(jnp.square(x))


def levy(x: jax.Array) -> jax.Array:
    """With w_i = 1 + (θ_i - 1)/4; the minimum is at 1.

    sin²(π w_1) + Σ_{i<d} (w_i - 1)² (1 + 10 sin²(π w_i + 1)) + (w_d - 1)² (1 + sin²(2π w_d))
    """
    w = 1 + (x - 1) / 4
    first, head, last = w[0], w[:-1], w[-1]
    terms = jnp.square(head - 1) * (1 + 10 * jnp.square(jnp.sin(jnp.pi * head + 1)))
    end = jnp.square(last - 1) * (1 + jnp.square(jnp.sin(2 * jnp.pi * last)))
    return jnp.square(jnp.sin(jnp.pi * first)) + jnp.sum(terms) + end


def rosenbrock(x: jax.Array) -> jax.Array:
    """Σ_{i<d} [100 (θ_{i+1} - θ_i²)² + (1 - θ_i)²]; minimum at 1, start at about 402 (d - 1)."""
    head, tail = x[:-1], x[1:]
    return jnp.sum(100 * jnp.square(tail - jnp.square(head)) + jnp.square(1 - head))


def ackley(x: jax.Array) -> jax.Array:
    """-20 exp(-0.2 √(Σ θ_i²/d)) - exp(Σ cos(2π θ_i)/d) + 20 + e; the minimum is at 0."""
    hollow = 20 * jnp.exp(-0.2 * jnp.sqrt(jnp.mean(jnp.square(x))))
    return 20 + jnp.e - hollow - jnp.exp(jnp.mean(jnp.cos(2 * jnp.pi * x)))


FUNCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "Quadratic": quadratic,
    "Levy": levy,
    "Rosenbrock": rosenbrock,
    "Ackley": ackley,
}
