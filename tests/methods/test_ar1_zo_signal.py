"""What the scale of an adapter does to the signal of an atom of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from adapter_problems import GRADIENTS, RANKS, adapter, drawn, linear, trajectory

import zojax


def test_slopes_of_a_loss_linear_in_the_weights_are_exact(key, x64):
    """δ = s Σ_l (pᵀ G b + aᵀ G q) at every radius, so N(0, τ²) with τ of the card's (6)."""
    x, s = adapter(), 0.7

    def slopes(radius):
        return trajectory(zojax.ar1_zo(0.0, key, radius=radius), x, linear, 6, scale=s)[1]

    found = jax.vmap(slopes)(jnp.array([1e-2, 1.0, 30.0]))
    z = drawn(key, x, 6)
    gradient = jax.grad(linear)(x, s)
    for step in range(6):
        now = jax.tree.map(lambda leaf, step=step: leaf[step], z)
        # Coefficients are kept in float32, and the direction is drawn in it.
        np.testing.assert_allclose(found[:, step], optax.tree.vdot(gradient, now), rtol=5e-7)
        active = jax.tree.map(lambda g, z: jnp.where(z != 0, g, 0), gradient, now)
        tau_squared = 0.0
        for name, layer in x.items():
            g, i = GRADIENTS[name], step % RANKS[name]
            a, b = layer["lora_a"][:, i], layer["lora_b"][i]
            tau_squared += s**2 * (np.sum((g @ b) ** 2) + np.sum((g.T @ a) ** 2))
        np.testing.assert_allclose(optax.tree.norm(active) ** 2, tau_squared, rtol=1e-12)


def test_the_signal_of_an_atom_depends_on_the_rank_only_through_the_scale(key, x64):
    """An atom embedded in adapters of ranks 1...64: constant under s = α, 1/r under s = α/r.

    Its directions are the same at every rank, so are its slopes.
    """
    atom, tx = adapter({"k": 1}, seed=1), zojax.ar1_zo(0.0, key)

    def slope(rank, scale):
        rest = adapter({"k": rank})
        x = {
            "lora_a": rest["k"]["lora_a"].at[:, :1].set(atom["k"]["lora_a"]),
            "lora_b": rest["k"]["lora_b"].at[:1].set(atom["k"]["lora_b"]),
        }
        return trajectory(tx, {"k": x}, linear, 1, scale=scale)[1][0]

    ranks = np.array([1, 4, 16, 64])
    slopes = np.array(
        [
            jax.vmap(lambda scale, r=r: slope(int(r), scale))(jnp.array([2.0, 2.0 / r]))
            for r in ranks
        ]
    )
    np.testing.assert_allclose(slopes[:, 0], slopes[0, 0], rtol=1e-6)
    np.testing.assert_allclose(slopes[:, 1], slopes[0, 1] / ranks, rtol=1e-6)


def test_at_the_start_of_an_adapter_a_is_moved_by_noise_alone(key, x64):
    """With B = 0 the slope is q · ∂f/∂b, whatever p is; and a moves by -η δ p."""
    x = adapter({"k": 2})
    x["k"]["lora_b"] = jnp.zeros_like(x["k"]["lora_b"])
    path, slopes = trajectory(zojax.ar1_zo(0.1, key), x, linear, 1)
    a, b = (np.diff(path["k"][factor], axis=0)[0] for factor in ("lora_a", "lora_b"))
    p, q = a[:, 0] / (-0.1 * slopes[0]), b[0] / (-0.1 * slopes[0])
    gradient = x["k"]["lora_a"][:, 0] @ GRADIENTS["k"]
    np.testing.assert_allclose(slopes[0], q @ gradient, rtol=1e-6)
    assert (np.abs(p) > 1e-3).all()


def test_the_mean_change_of_the_product_has_the_scale_squared(x64):
    """-η s² (a aᵀ G + G b bᵀ) to first order in η: over 20000 keys, within 5 standard errors."""
    x, s, rate = adapter({"k": 1}), 3.0, 1e-4
    a, b, g = x["k"]["lora_a"], x["k"]["lora_b"], GRADIENTS["k"]

    def change(key):
        tx = zojax.ar1_zo(rate, key)
        updates, _ = tx.update(None, tx.init(x), x, value_fn=linear, scale=s)
        one = updates["k"]
        return s * (one["lora_a"] @ b + a @ one["lora_b"]) / rate

    changes = np.asarray(jax.jit(jax.vmap(change))(jax.random.split(jax.random.key(1), 20000)))
    expected = -(s**2) * (a @ a.T @ g + g @ b.T @ b)
    error = changes.std(axis=0) / np.sqrt(len(changes))
    assert (np.abs(changes.mean(axis=0) - expected) < 5 * error).all()
    # The bound must be able to fail: it is far below what is bounded.
    assert error.max() < 0.05 * np.abs(expected).max()
