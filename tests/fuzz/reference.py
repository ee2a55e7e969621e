"""What evaluations are compared with: the plain loss of params that were moved in NumPy.

Nothing of zojax is in here. The directions of the isotropic laws are made a second time, from the
key alone, by the published generator and the exact inverse of the normal distribution.
"""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from tests.compiling import QUICKLY
from tests.fuzz.trees import weakly_typed

_SINGLE = float(np.finfo(np.float32).eps)


def moved(leaf: jax.Array, z: np.ndarray, radius: float, noise: np.ndarray | float = 0.0) -> Any:
    """leaf + radius z + noise with the dtype and the weak type of the leaf, rounded to it once."""
    wide = jnp.promote_types(leaf.dtype, jnp.float32)
    base, along = np.asarray(leaf).astype(wide), np.asarray(z).astype(wide)
    values = (base + wide.type(radius) * along + np.asarray(noise).astype(wide)).astype(leaf.dtype)
    return weakly_typed(values) if leaf.weak_type else jnp.asarray(values)


def rounding(
    leaf: jax.Array, z: np.ndarray, radius: float, eps: float, z_eps: float, seed: int
) -> np.ndarray:
    """A change of the moved leaf that is of the size of a rounding of its terms, signs random."""
    along = np.abs(radius * np.asarray(z, np.float64))
    size = eps * (np.abs(np.asarray(leaf, np.float64)) + along) + z_eps * np.max(along, initial=0)
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), np.shape(along))
    return size * signs


class Plain:
    """A function of leaves at moved leaves, and how far roundings of these move its results."""

    def __init__(self, fn: Callable[[list], Any], leaves: Sequence[jax.Array]):
        self._fn, self._leaves = jax.jit(fn, compiler_options=QUICKLY), list(leaves)

    def at(self, zs: Sequence[Any], radius: float) -> list[np.ndarray]:
        """The results at leaves + radius zs, flat."""
        return self._call(
            [moved(leaf, z, radius) for leaf, z in zip(self._leaves, zs, strict=True)]
        )

    def sensitivity(
        self, zs: Sequence[Any], radius: float, eps: float, z_eps: float
    ) -> list[np.ndarray]:
        """For each result the largest change of an entry, as few random roundings find it."""
        here, changes = self.at(zs, radius), []
        for seed in range(3):
            there = self._call(
                [
                    moved(leaf, z, radius, rounding(leaf, z, radius, eps, z_eps, seed + 10 * place))
                    for place, (leaf, z) in enumerate(zip(self._leaves, zs, strict=True))
                ]
            )
            pairs = zip(here, there, strict=True)
            changes.append([np.max(np.abs(a - b), initial=0.0) for a, b in pairs])
        return list(np.max(np.array(changes).reshape(3, -1), axis=0, initial=0.0))

    def _call(self, leaves: list) -> list[np.ndarray]:
        return [np.asarray(out, np.float64) for out in jax.tree.leaves(self._fn(leaves))]


# Directions of the isotropic laws.


def isotropic(bits: int, seed: int, step: int, query: int, params: Any) -> list[np.ndarray]:
    """Z of every leaf, float64, with so many random bits an entry: signs of 1, else normal numbers.

    Entry j of row i is made of bits i b ... (i + 1) b - 1 of the words of all calls (0, j), (1, j),
    (2, j) ..., laid one behind the other.
    """
    key = _fold(_fold(_words_of_seed(seed), step), query)
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        width = leaf.shape[-1] if leaf.shape else 1
        count = math.prod(leaf.shape[:-1])
        first, second = _hash(path)
        own = _fold(_fold(key, first), second)
        calls = np.arange(-(-count * bits // 64), dtype=np.uint32)
        call, column = np.meshgrid(calls, np.arange(width, dtype=np.uint32), indexing="ij")
        words = np.stack(_threefry(own, call, column), 1).reshape(-1, width)
        number = words[:, None] >> (np.arange(32 // bits, dtype=np.uint32) * bits)[:, None]
        number = number.reshape(-1, width)[:count] % np.uint64(2**bits)
        found.append(_entries(number.astype(np.float64), bits).reshape(leaf.shape))
    return found


def _entries(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Of numbers of so many bits; as in two's complement, 0 is the first level above the middle."""
    if bits == 1:
        return 1.0 - 2.0 * numbers
    if bits == 32:  # of which the upper 24 count
        numbers, bits = np.floor(numbers / 2**8), 24
    levels = 2**bits
    place = (numbers + levels / 2) % levels  # from the lowest level on
    if bits > 8:
        z = ndtri((np.arange(levels) + 0.5) / levels)
        return (z / np.sqrt(np.mean(z**2)) if bits == 16 else z)[place.astype(int)]
    return _levels_of_8_bits()[place.astype(int)]


@functools.cache
def _levels_of_8_bits() -> np.ndarray:
    """The polynomial that comes nearest to the normal law's means between its 256-quantiles."""
    edges = ndtri(np.arange(257) / 256)
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    means = 256 * (density[:-1] - density[1:])
    u = (2 * np.arange(256) + 1) / 256 - 1
    half = u > 0
    fitted = np.polynomial.Chebyshev.fit(
        2 * u[half] ** 2 - 1, means[half] / u[half], 7, domain=[-1, 1], w=u[half]
    )
    z = u * fitted(2 * u**2 - 1)
    return z / np.sqrt(np.mean(z**2))


def _hash(path: tuple) -> tuple[int, int]:
    names = [jax.tree_util.keystr((entry,), simple=True) for entry in path]
    digest = hashlib.blake2s("\x1f".join(["0", *names]).encode(), digest_size=8).digest()
    return tuple(int(word) for word in np.frombuffer(digest, "<u4"))


def _words_of_seed(seed: int) -> tuple[int, int]:
    return 0, seed


def _fold(key: tuple, data: int) -> tuple:
    return tuple(int(word) for word in _threefry(key, np.uint32(0), np.uint32(data)))


def _threefry(key: tuple, x0: Any, x1: Any) -> tuple[np.ndarray, np.ndarray]:
    """Threefry-2x32-20 of Salmon et al., SC 2011, as their reference code has it."""
    k = [np.uint32(key[0]), np.uint32(key[1])]
    k.append(k[0] ^ k[1] ^ np.uint32(0x1BD11BDA))
    turns = ((13, 15, 26, 6), (17, 29, 16, 24))
    with np.errstate(over="ignore"):
        x0, x1 = np.asarray(x0 + k[0]), np.asarray(x1 + k[1])
        for block in range(5):
            for turn in turns[block % 2]:
                x0 = x0 + x1
                x1 = (x1 << np.uint32(turn) | x1 >> np.uint32(32 - turn)) ^ x0
            x0 = x0 + k[(block + 1) % 3]
            x1 = x1 + k[(block + 2) % 3] + np.uint32(block + 1)
    return x0, x1
