"""A pole on a cart is to be swung up and held, by a network that sees where they are.

The cart, of 1 kg, carries a pole of 1 m and 0.1 kg that hangs. With angle φ from upright, place x
of the cart and force u, and with the masses M and m, the half length l and g = 9.8,

    a  = (u + m l φ'² sin φ) / (M + m)                                                           (1)
    φ'' = (g sin φ - a cos φ) / (l (4/3 - m cos² φ / (M + m)))                                   (2)
    x'' = a - m l φ'' cos φ / (M + m)                                                            (3)

(Barto, Sutton, Anderson, "Neuronlike adaptive elements that can solve difficult learning control
problems", 1983, without friction), in steps of 0.02 s: speeds first, then places. The reward of a
moment is (1 + cos φ)/2, less x²/100; the loss is minus its mean over an episode and over some
episodes that begin near the hanging pole.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.control.problem import Problem

_CART, _POLE, _HALF, _GRAVITY, _SECONDS = 1.0, 0.1, 0.5, 9.8, 0.02
_FORCE = 10.0


class Policy(nnx.Module):
    """The share of the largest force, from -1 to 1, by what is seen of the state."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(5, width, rngs=rngs)
        self.last = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, state: jax.Array) -> jax.Array:
        """Of (x, x', φ, φ'), (4,), a number."""
        x, speed, angle, turning = state
        seen = jnp.array([x, speed, jnp.cos(angle), jnp.sin(angle), turning / 4])
        return jnp.tanh(self.last(jnp.tanh(self.hidden(seen)))[0])


def move(state: jax.Array, force: jax.Array) -> jax.Array:
    """The state (x, x', φ, φ') a fiftieth of a second later."""
    x, speed, angle, turning = state
    sine, cosine, mass = jnp.sin(angle), jnp.cos(angle), _CART + _POLE
    pushed = (force + _POLE * _HALF * turning**2 * sine) / mass
    falling = (_GRAVITY * sine - pushed * cosine) / (_HALF * (4 / 3 - _POLE * cosine**2 / mass))
    faster = pushed - _POLE * _HALF * falling * cosine / mass
    speed, turning = speed + _SECONDS * faster, turning + _SECONDS * falling
    return jnp.array([x + _SECONDS * speed, speed, angle + _SECONDS * turning, turning])


def reward(state: jax.Array) -> jax.Array:
    """At most 1, upright in the middle."""
    return (1 + jnp.cos(state[2])) / 2 - jnp.square(state[0]) / 100


def mean_reward(policy: Policy, start: jax.Array, steps: int) -> jax.Array:
    """Of an episode from a state (4,)."""

    def step(state, _):
        state = move(state, _FORCE * policy(state))
        return state, reward(state)

    return jax.lax.scan(step, start, None, length=steps)[1].mean()


def cart_pole(*, width: int = 16, steps: int = 200, episodes: int = 2) -> Problem:
    """The problem; an evaluation of its loss is `episodes` episodes of `steps` steps."""
    graphdef, _ = nnx.split(Policy(width, rngs=nnx.Rngs(0)), nnx.Param)

    def start(key: jax.Array) -> Any:
        return nnx.split(Policy(width, rngs=nnx.Rngs(key)), nnx.Param)[1]

    def loss(params: Any, key: jax.Array, count: int = episodes) -> jax.Array:
        policy = nnx.merge(graphdef, params)
        hanging = jnp.array([0.0, 0.0, jnp.pi, 0.0])
        starts = hanging + 0.1 * jax.random.normal(key, (count, 4))
        run = functools.partial(mean_reward, policy, steps=steps)
        return -jax.vmap(run)(starts).mean()

    def score(params: Any) -> jax.Array:
        return -loss(params, jax.random.key(77), 32)

    return Problem(start, loss, score, "mean reward of 32 other episodes", 0.1)
