"""What is wrong with the lazy evaluation of a case."""

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import zojax
from tests.compiling import QUICKLY
from tests.fuzz.cases import Case, Fault, Setting
from tests.fuzz.losses import Loss, coarsest
from tests.fuzz.reference import Plain, isotropic
from tests.fuzz.thresholds import lowered

_SINGLE = float(np.finfo(np.float32).eps)


def faults(case: Case) -> list[Fault]:
    """What is wrong with a case, loss by loss."""
    setting = case.setting
    with _context(setting):
        try:
            drawn = _Drawn(setting)
        except Exception as error:
            return [Fault(Case(setting, ()), f"drawing: {_said(error)}")]
        found = [Fault(Case(setting, case.losses[:1]), what) for what in drawn.wrong()]
        return found + _compared(case, drawn)


@contextlib.contextmanager
def _context(setting: Setting):
    before = jax.config.jax_enable_x64
    # Not by the context `jax.enable_x64`: it is that of one thread, and callbacks run in others.
    jax.config.update("jax_enable_x64", setting.x64)
    try:
        with lowered(setting.low):
            yield
    finally:
        jax.config.update("jax_enable_x64", before)


class _Drawn:
    """Params and directions of a setting."""

    def __init__(self, setting: Setting):
        self.setting, self.sampler = setting, setting.law()
        self.params, self.read = setting.tree.made()
        self.key = jax.random.key(setting.seed)
        draw = jax.jit(self._draw, compiler_options=QUICKLY)
        self.directions, self.state, self.zs = draw(self.params, self.key)

    def _draw(self, params: Any, key: jax.Array) -> tuple[Any, Any, list[Any]]:
        """The directions of the step, and each of them as a tree of arrays."""
        setting, state = self.setting, self.sampler.init(params)
        for step in range(setting.step + 1):
            directions, after = self.sampler.draw(
                state, key, jnp.int32(step), setting.queries, params
            )
            weights = jnp.sin(1.0 + jnp.arange(setting.queries))
            measured = zojax.Estimate(weights, jnp.zeros_like(weights))
            state = self.sampler.observe(after, directions, measured, params)
        queries = [jax.tree.map(lambda a, k=k: a[k], directions) for k in range(setting.queries)]
        return directions, after, [zojax.materialize(query, params) for query in queries]

    def evaluate(self, value_fn: Any) -> Any:
        """Losses and what else `value_fn` returns."""
        setting = self.setting

        def evaluate(params: Any, directions: Any, state: Any, key: jax.Array) -> Any:
            if setting.in_turn and self.sampler.one_by_one is not None:
                directions = self.sampler.one_by_one(
                    state, key, jnp.int32(setting.step), setting.queries, params
                )
            return zojax.evaluate(
                value_fn,
                params,
                directions,
                jnp.asarray(setting.radius, jnp.result_type(float)),
                chunk_size=setting.chunk,
                has_aux=True,
            )

        if setting.jit:
            evaluate = jax.jit(evaluate, compiler_options=QUICKLY)
        return evaluate(self.params, self.directions, self.state, self.key)

    def points(self) -> list[tuple[tuple[int, ...], int, float]]:
        """For each loss its place, its query and its radius."""
        radii = np.asarray(self.setting.radius)
        shape = (self.setting.queries, *radii.shape[-1:])
        radii = np.broadcast_to(radii, shape)
        return [(place, place[0], float(radii[place])) for place in np.ndindex(shape)]

    def z_of(self, query: int) -> list[np.ndarray]:
        """Z of a query in the order in which a loss reads the leaves."""
        return [np.asarray(z) for z in self.read(self.zs[query])]

    def wrong(self) -> list[str]:
        """What is wrong with directions that are known independently."""
        setting = self.setting
        if setting.law.make not in (zojax.gaussian, zojax.rademacher):
            return []
        signs, found = setting.law.make is zojax.rademacher, []
        bits = 1 if signs else setting.law.options.get("bits", 8)
        for query, zs in enumerate(self.zs):
            expected = isotropic(bits, setting.seed, setting.step, query, self.params)
            for z, other in zip(jax.tree.leaves(zs), expected, strict=True):
                # The library's polynomials are right to 1e-6 of z.
                if not np.allclose(z, other, rtol=0 if signs else 4e-6, atol=0):
                    found.append(f"z of query {query} is {z}, by NumPy {other}")
        return found


def _compared(case: Case, drawn: _Drawn) -> list[Fault]:
    """Evaluates the losses together; one by one if that is refused."""
    setting = case.setting

    def at_leaves(leaves: list) -> Any:
        outs = [loss(leaves) for loss in case.losses]
        return sum(value for value, _ in outs), outs

    leaves = drawn.read(drawn.params)
    expected = jax.eval_shape(at_leaves, leaves)
    try:
        values, outs = drawn.evaluate(lambda params: at_leaves(drawn.read(params)))
    except Exception as error:
        if len(case.losses) > 1:
            return [
                fault for loss in case.losses for fault in _compared(Case(setting, (loss,)), drawn)
            ]
        return [Fault(case, _said(error))]
    found = []
    wide = jnp.promote_types(expected[0].dtype, jnp.float32)
    if values.dtype != wide or values.weak_type:
        what = f"losses are {values.aval.str_short()}, those of the plain loss {wide}"
        found += [Fault(case, what)] if len(case.losses) == 1 else []
    for loss, lazy, plain in zip(case.losses, outs, expected[1], strict=True):
        one = Case(setting, (loss,))
        found += [Fault(one, what) for what in _types(lazy, plain)[:1]]
    numbers = Plain(at_leaves, leaves)
    found += [
        Fault(Case(setting, (loss,)), what)
        for loss, what in _values(case.losses, (values, outs), drawn, numbers, leaves)
    ]
    return list({repr(fault.case.losses): fault for fault in found}.values())


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def _types(lazy: Any, plain: Any) -> list[str]:
    # Inside the loss types are weak as they are in the plain one; what comes out as aux is not,
    # since JAX has no public way to make a computed array weak.
    return [
        f"a result is {a.dtype}, of the plain loss {b.dtype}"
        for a, b in zip(jax.tree.leaves(lazy), jax.tree.leaves(plain), strict=True)
        if a.dtype != b.dtype
    ]


def _values(
    losses_: tuple[Loss, ...], outs: Any, drawn: _Drawn, plain: Plain, leaves: list
) -> list:
    """The losses with a number that is further from the plain one than rounding explains."""
    exact = drawn.setting.law.make is zojax.rademacher
    eps = [coarsest(loss, leaves) for loss in losses_]
    totals, flat = outs[0], [jax.tree.leaves(out) for out in outs[1]]
    found = []
    for place, query, radius in drawn.points():
        zs = drawn.z_of(query)
        here = plain.at(zs, radius)
        moves = functools.cache(
            lambda e, zs=zs, radius=radius: plain.sensitivity(
                zs, radius, e, 0.0 if exact else 4 * _SINGLE
            )
        )
        first = 1
        for loss, e, arrays in zip(losses_, eps, flat, strict=True):
            last = first + len(arrays)
            triples = zip(arrays, here[first:last], moves(e)[first:last], strict=True)
            for lazy, expected, move in triples:
                what = _difference(np.asarray(lazy[place], np.float64), expected, move, e)
                if what:
                    found.append((loss, f"{what} at {place}"))
            first = last
        what = _difference(np.float64(totals[place]), here[0], moves(max(eps))[0], max(eps))
        if what and not found:
            found += [(losses_[0], f"the loss itself: {what} at {place}")]
    return found


def _difference(lazy: np.ndarray, plain: np.ndarray, move: float, eps: float) -> str:
    """Says how far apart numbers are, if it is further than rounding explains.

    Rounding: results may move as by roundings of the leaves, several times; and are rounded
    themselves, relative to the largest and to data, which is of order 1.
    """
    if lazy.shape != plain.shape:
        return f"shape {lazy.shape}, plain {plain.shape}"
    finite = np.isfinite(plain)
    if not np.array_equal(finite, np.isfinite(lazy)):
        return f"got {lazy}, plain {plain}"
    lazy, plain = np.where(finite, lazy, 0), np.where(finite, plain, 0)
    move = move if np.isfinite(move) else 0.0
    tolerance = 8 * move + 16 * eps * (1 + np.max(np.abs(plain), initial=0))
    worst = np.max(np.abs(lazy - plain), initial=0)
    if worst <= tolerance:
        return ""
    return f"off by {worst:.3g}, rounding explains {tolerance:.3g}: got {lazy}, plain {plain}"
