"""The steps that are measured: lazy a method (MeZO) under four laws, and the naive step."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

import zojax
from experiments.benchmarks._forms import Form, Size

RADIUS, LEARNING_RATE = 1e-3, 1e-6

# name -> (sampler, generator of the key)
LAWS = {
    "packed signs": (zojax.rademacher, "threefry2x32"),
    "gaussian": (zojax.gaussian, "threefry2x32"),
    "gaussian, threefry4x32": (zojax.gaussian, "threefry4x32"),
    "factored rank 1": (lambda: zojax.factored(1), "threefry2x32"),
    "factored rank 4": (lambda: zojax.factored(4), "threefry2x32"),
}


def lazy_step(
    loss: Callable,
    law: str,
    method: Callable = zojax.mezo,
    watched: Callable[[zojax.Sampler], zojax.Sampler] = lambda sampler: sampler,
) -> tuple[optax.GradientTransformation, Callable]:
    """A method under a law: the transformation, and (params, state, batch) -> (params, state)."""
    sampler, generator = LAWS[law]
    key = jax.random.key(0, impl=generator)
    tx = method(LEARNING_RATE, key, radius=RADIUS, sampler=watched(sampler()))
    return tx, step_of(tx, loss)


def noise_alone(law: str) -> Callable:
    """(params, key) -> params + c z: the smallest program that draws noise for every leaf."""

    def update(params: Any, key: jax.Array) -> Any:
        sampler = LAWS[law][0]()
        directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(0), 1, params)
        coefficient = jnp.full(1, LEARNING_RATE)
        noise = zojax.combine(coefficient, directions, params, read_once=True)
        return optax.apply_updates(params, noise)

    return update


def step_of(tx: optax.GradientTransformation, loss: Callable) -> Callable:
    """(params, state, batch) -> (params, state), the update included."""

    def step(params: Any, state: Any, batch: jax.Array) -> tuple[Any, Any]:
        updates, state = tx.update(None, state, params, value_fn=loss, batch=batch)
        return optax.apply_updates(params, updates), state

    return step


def running(program: Any, *held: Any, batch: Any) -> Callable[[], Any]:
    """One step after another on a copy of what is held, which each step takes and gives back."""
    held = jax.tree.map(jnp.copy, held)

    def run() -> Any:
        nonlocal held
        held = program(*held, batch)
        return held

    return run


def repeated(program: Any, params: Any, batch: Any, *, count: int) -> Callable[[], Any]:
    """`count` plain losses, one after another as a user would ask for them."""
    return lambda: [program(params, batch) for _ in range(count)]


def random_tokens(form: Form, size: Size) -> Any:
    """A batch for a form."""
    draw = partial(jax.random.randint, jax.random.key(1), minval=0, maxval=size.vocabulary)
    return _of_shapes(lambda a: draw(a.shape), form.batch)


def naive_step(loss: Callable) -> Callable:
    """Two perturbed copies and an update: (params, key, batch) -> (params, key)."""

    def step(params: Any, key: jax.Array, batch: jax.Array) -> tuple[Any, jax.Array]:
        use, key = jax.random.split(key)
        z = optax.tree.random_like(use, params)

        def moved(radius: float) -> Any:
            return jax.tree.map(lambda a, b: a + radius * b, params, z)

        slope = (loss(moved(RADIUS), batch) - loss(moved(-RADIUS), batch)) / (2 * RADIUS)

        def stepped(a: jax.Array, b: jax.Array) -> jax.Array:
            return (a - LEARNING_RATE * slope * b).astype(a.dtype)  # the slope may be wider

        return jax.tree.map(stepped, params, z), key

    return step


def compiled(fn: Callable, *args: Any, donate: tuple[int, ...] = ()) -> tuple[Any, float]:
    """The compiled program and the seconds that tracing and compiling it took."""
    start = time.perf_counter()
    program = jax.jit(fn, donate_argnums=donate).lower(*args).compile()
    return program, time.perf_counter() - start


def doubled(batch: Any) -> Any:
    """The shape of the batch twice: what inference would be given for a pair of points."""
    return _of_shapes(lambda a: a.update(shape=(2 * a.shape[0], *a.shape[1:])), batch)


def _of_shapes(fn: Callable[[jax.ShapeDtypeStruct], Any], batch: Any) -> Any:
    """Applies it to what of a batch are shapes; what are arrays stays as it is."""
    return jax.tree.map(
        lambda leaf: fn(leaf) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, batch
    )
