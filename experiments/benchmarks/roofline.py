"""How long would a step take on a TPU or an H100, by arithmetic alone?

    python -m experiments.benchmarks.roofline

Nothing is measured here. Operations of a law are counted in its program, weights and tokens are
those of OPT, and the rates are published ones (`MACHINES`), so this is an estimate of a floor:

    forwards   4 N T flops for a pair of points (attention left out), or reading N weights for both
               at once; on a TPU, where points take turns, for each
    noise      N numbers for both points (on a TPU for each) and for the update: words of the
               cipher, and taking them apart. Of an update, words beyond `_thresholds.HELD_SHARE`
               are drawn for every number.
    update     reading and writing N weights, and writing and reading the words that are kept

N weights in bfloat16, T tokens a point. Two forwards are 4 N T flops, or reading the weights twice.
The terms are added, as if nothing of them overlapped. Factored laws draw next to nothing. The naive
step draws 32 bits for a number three times, and reads and writes all weights for each.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.extend.core import jaxprs_in_params

from experiments.benchmarks._report import Report
from zojax import _thresholds
from zojax.noise import RADEMACHER, Law, gaussian_law

COLUMNS = (
    "machine",
    "model",
    "tokens",
    "law",
    "operations a weight",
    "forwards ms",
    "noise ms",
    "update ms",
    "step / two forwards",
)


class Machine(NamedTuple):
    """One chip, by its maker's numbers, and what is made of them.

    Attributes:
      name: as tables have it.
      flops: in bfloat16, a second.
      memory: bytes a second.
      integers: 32-bit operations on vectors, a second.
      in_turn: whether the points of a pair take turns.
      share: of the flops that products of matrices reach, an assumption.
    """

    name: str
    flops: float
    memory: float
    integers: float
    in_turn: bool
    share: float = 0.6


# Flops and memory: cloud.google.com/tpu/docs/v5e and /v6e, NVIDIA's data sheet of the H100 SXM. A
# TPU's vector unit has 8 x 128 lanes; four operations a lane and cycle, and 1.5 GHz, are assumed.
# An SM of an H100 makes 64 integer operations a cycle (CUDA C++ programming guide, throughput of
# arithmetic instructions), 132 of them at 1.98 GHz.
_LANES = 8 * 128 * 4 * 1.5e9
MACHINES = (
    Machine("TPU v5e", 197e12, 819e9, _LANES, in_turn=True),
    Machine("TPU v6e", 918e12, 1638e9, _LANES, in_turn=True),
    Machine("H100", 989e12, 3352e9, 132 * 64 * 1.98e9, in_turn=False),
)
MODELS = {"OPT-1.3B": 1.32e9, "OPT-13B": 12.85e9}
LAWS: dict[str, Law | None] = {
    "packed signs": RADEMACHER,
    **{f"gaussian, {bits} bits": gaussian_law(bits) for bits in (8, 16, 32)},
    "factored": None,
}
NAIVE = "naive, 32 bits"
# What only says where numbers lie.
_FREE = {"broadcast_in_dim", "reshape", "iota", "bitcast_convert_type", "squeeze", "slice"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the estimate."""

    tokens: tuple[int, ...] = (512, 4096)
    """Of a point."""


def main(settings: Settings) -> list[dict[str, Any]]:
    """Prints the table, writes it to results/roofline.jsonl and returns its rows."""
    report = Report("roofline", COLUMNS, settings)
    for machine in MACHINES:
        for model, weights in MODELS.items():
            for tokens in settings.tokens:
                for name in (*LAWS, NAIVE):
                    numbers = _step(machine, weights, tokens, name)
                    report.row(machine.name, model, tokens, name, *numbers)
    return report.finish()


def _step(machine: Machine, weights: float, tokens: int, name: str) -> tuple[float, ...]:
    """Operations of noise a weight; ms of forwards, noise and update; step / two forwards."""
    products = 4 * weights * tokens / (machine.share * machine.flops)
    once = 2 * weights / machine.memory  # reading all weights
    plain = max(products, 2 * once)
    forwards = plain if machine.in_turn else max(products, once)
    if name == NAIVE:
        law, forwards, moved = gaussian_law(32), plain, 3 * 2 * once
        operations = 3 * operations_of_number(law)
    elif (law := LAWS[name]) is None:
        operations, moved = 0.0, 2 * once
    else:
        draws, kept = 1 + machine.in_turn, min(1.0, 8 * _thresholds.HELD_SHARE / law.bits)
        shared, alone = operations_of_number(law), operations_of_number(law, shared=False)
        operations = (draws + kept) * shared + (1 - kept) * alone
        moved = 2 * once + (draws + kept) * 2 * law.bits / 8 * weights / machine.memory
    noise = operations * weights / machine.integers
    milliseconds = (1e3 * seconds for seconds in (forwards, noise, moved))
    return operations, *milliseconds, (forwards + noise + moved) / plain


def operations_of_number(law: Law, *, shared: bool = True) -> float:
    """Of the law's program: a number's share of a call of the cipher, and what is its own.

    Without `shared`, a call for each number.
    """
    key, calls = jax.random.key(0), jnp.zeros(1, jnp.int32)
    words = law.call(key, calls, 1)
    # A vector of columns, so that what is made once for all of them counts little.
    of_call = _operations(lambda key: law.call(key, calls, 1024), key) / 1024
    wide = tuple(jnp.broadcast_to(word, (1, 1024)) for word in words)
    of_numbers = _operations(lambda words: law.entries(law.units(words)), wide)
    return of_call / (law.rows if shared else 1) + of_numbers / (law.rows * 1024)


def _operations(fn: Any, *args: Any) -> int:
    """Entries of the results of all arithmetic in a program."""
    return _of_equations(jax.make_jaxpr(fn)(*args).jaxpr)


def _of_equations(jaxpr: Any) -> int:
    total = 0
    for eqn in jaxpr.eqns:
        inner = list(jaxprs_in_params(eqn.params))
        if inner:
            total += sum(_of_equations(one) for one in inner)
        elif eqn.primitive.name not in _FREE and "random" not in eqn.primitive.name:
            total += sum(int(np.prod(out.aval.shape)) for out in eqn.outvars)
    return total


if __name__ == "__main__":
    main(tyro.cli(Settings))
