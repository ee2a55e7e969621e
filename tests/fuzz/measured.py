"""Whether the directions that an update applies are those that the loss was measured along."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.compiling import QUICKLY
from tests.fuzz.methods import METHODS, ONE_DIRECTION, RADIUS, Method, Run
from tests.fuzz.thresholds import lowered
from tests.fuzz.witness import Point, Witness, is_origin, opposite


def wrong(run: Run) -> list[str]:
    """What is wrong with a run; all points of the step are paid for in turn."""
    with lowered(run.low):
        return _Trial(run).wrong()


class _Trial:
    """A compiled step whose loss is a witness."""

    def __init__(self, run: Run):
        self.run, self.method = run, METHODS[run.method]
        params, _ = run.tree.made()
        self.params = jax.tree.map(lambda leaf: 0 * leaf, params)
        options: dict[str, Any] = {} if run.law is None else {"sampler": run.law}
        if run.method not in ONE_DIRECTION:
            options |= {"num_queries": run.queries, "chunk_size": run.chunk}
        self.tx = self.method(jax.random.key(run.seed), **options)
        self.witness = Witness(run.ways)
        self.step = jax.jit(
            lambda state: self.tx.update(None, state, self.params, value_fn=self.witness.loss),
            compiler_options=QUICKLY if run.quickly else None,
        )

    def wrong(self) -> list[str]:
        state = self.tx.init(self.params)
        for _ in range(self.run.step):
            _, state = jax.block_until_ready(self.step(state))
        self.witness.seen.clear()
        jax.block_until_ready(self.step(state))
        points = [point for point in self.witness.seen.values() if not is_origin(point)]
        if self.witness.differing:
            return self.witness.differing[:1]
        if self.method.differences == "pair":
            pairs = [(points[0], points[1])] if len(points) > 1 else []
            found = [self._after(state, *pair) for pair in pairs]
        else:
            found = [self._after(state, point) for point in points]
        return [what for what in found if what]

    def _after(self, state: Any, point: Point, other: Point | None = None) -> str:
        """What is wrong with the update when the loss is at these points what is paid there."""
        unit = RADIUS * self.method.pay
        if self.method.differences == "central":
            amount = unit * self.run.queries
            self.witness.pay((point, amount), (opposite(point), -amount))
        elif other is not None:
            self.witness.pay((point, unit), (other, -unit))
        else:
            self.witness.pay((point, unit * self.run.queries))
        updates, state = jax.block_until_ready(self.step(state))
        count = np.count_nonzero(optax.tree.get(state, "coefficients"))
        self.witness.pay()
        for _ in range(self.method.late):
            updates, state = jax.block_until_ready(self.step(state))
        estimate = [_z(array, count) for array in point]
        if other is not None:
            estimate = [(_z(a) - _z(b)).astype(a.dtype) for a, b in zip(point, other, strict=True)]
        return _difference(self.method, updates, estimate)


def _z(array: np.ndarray, count: int = 1) -> np.ndarray:
    """Z at a point, as often as queries have found it."""
    return (count * array.astype(np.float32) / np.float32(RADIUS)).astype(np.float32)


def _difference(method: Method, updates: Any, estimate: Point) -> str:
    leaves = zip(jax.tree.leaves(updates), estimate, strict=True)
    for place, (update, z) in enumerate(leaves):
        z = np.sign(z) if method.signs else z
        expected = (np.float32(method.rate()) * z).astype(update.dtype)
        zero = np.asarray(0, update.dtype)  # of the two zeros it makes one
        applied, expected = np.asarray(update) + zero, expected + zero
        same = applied.tobytes() == expected.tobytes()
        if method.roundings and not same:
            relative = method.roundings * float(jnp.finfo(update.dtype).eps) / 2
            same = np.allclose(np.float64(applied), np.float64(expected), rtol=relative, atol=0)
        if not same:
            what = [np.float64(array) / method.rate() for array in (applied, expected)]
            return f"leaf {place}: applied {what[0]}, measured {what[1]}"
    return ""
