"""The curvature of a loss along random directions.

    Tr H ≈ (1/K) Σ_k [f(x + r z_k) + f(x - r z_k) - 2 f(x)] / r²,    z_k ~ N(0, I)               (1)

The mean over directions is exact on quadratics; a single term has the variance 2 ‖H‖_F², which is
little beside (Tr H)² where many eigenvalues share the trace.

Costs 2 K + 1 loss evaluations, and no memory beside that of an update. It is only as good as the
losses: in float32 each term has an error of about 2⁻²³ |f| / r².

It bounds the learning rate η of descent along estimates of K queries: on a quadratic the mean
square of the params grows without end unless η < 2 K / Tr H, up to eigenvalues that are a large
part of the trace (Song, Zhang, Li, He, Muehlebach, Oh, "edge of stability" of zeroth-order methods,
arXiv:2604.14669, from the condition of mean-square stability).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import zojax


def measure_curvature(
    value_fn: Callable[[Any], jax.Array],
    params: Any,
    key: jax.Array,
    step: jax.Array | int,
    *,
    radius: float,
    num_directions: int,
    axes: zojax.Axes,
) -> jax.Array:
    """Returns the mean of (1), shape (), float32; to be jitted by the caller.

    Args:
      value_fn: f, shape ().
      params: x.
      key: draws the directions, with the step.
      step: so that each step has its own.
      radius: r.
      num_directions: K.
      axes: of the mesh.
    """
    sampler = zojax.gaussian()
    directions, _ = sampler.draw(sampler.init(params), key, jnp.int32(step), num_directions, params)
    radii = radius * jnp.array([1.0, -1.0])
    losses = zojax.evaluate(value_fn, params, directions, radii, axes=axes)  # (K, 2)
    return jnp.mean(losses.sum(-1) - 2 * value_fn(params)).astype(jnp.float32) / radius**2
