"""Rules for control flow: perturbed arrays pass through scan, while and cond.

A perturbed array that a loop carries on, or that a branch returns, is drawn: those must look alike
each time around. The loops are built anew with JAX's public functions, in which a perturbed array
is just a tree of arrays.
"""

from typing import Any

import jax
import quax
from jax.extend.core import jaxpr_as_fun
from jax.typing import ArrayLike
from quax._compat import unpack_scan_args  # scan's parameters differ between versions of jax

from zojax.evaluation._perturbed import Perturbed, drawn
from zojax.evaluation._together import all_same, run_together, still_same


@quax.register(jax.lax.scan_p, precedence=1)
def _(*args: quax.ArrayValue | ArrayLike, jaxpr, length, reverse, unroll, **params):
    consts, carry, xs = unpack_scan_args(args, params)
    carry, stacks = drawn(carry), [_unstacked(x) for x in xs]
    body = quax.quaxify(jaxpr_as_fun(jaxpr))

    def step(state: tuple[list[Any], jax.Array], x: list[Any]) -> tuple[Any, list[Any]]:
        carry, same = state
        args = (*consts, *carry, *x)
        outs = run_together(lambda *args: drawn(body(*args)), same, *args)
        return (outs[: len(carry)], still_same(same, args)), outs[len(carry) :]

    same = all_same((*consts, *carry, *stacks))
    (carry, _), ys = jax.lax.scan(
        step, (carry, same), stacks, length=length, reverse=reverse, unroll=unroll
    )
    return [*carry, *ys]


@quax.register(jax.lax.while_p, precedence=1)
def _(
    *args: quax.ArrayValue | ArrayLike, cond_nconsts, body_nconsts, cond_jaxpr, body_jaxpr, **params
):
    of_body = cond_nconsts + body_nconsts
    condition, body = (quax.quaxify(jaxpr_as_fun(jaxpr)) for jaxpr in (cond_jaxpr, body_jaxpr))
    return jax.lax.while_loop(
        lambda carry: drawn(condition(*args[:cond_nconsts], *carry))[0],
        lambda carry: drawn(body(*args[cond_nconsts:of_body], *carry)),
        drawn(args[of_body:]),
    )


@quax.register(jax.lax.cond_p, precedence=1)
def _(index: ArrayLike, *args: quax.ArrayValue | ArrayLike, branches, **params):
    def branch(jaxpr: Any):
        return lambda *args: drawn(quax.quaxify(jaxpr_as_fun(jaxpr))(*args))

    return jax.lax.switch(index, [branch(jaxpr) for jaxpr in branches], *args)


def _unstacked(x: Any) -> Any:
    """A stack of recipes that scan can take apart; the array where its axis 0 cuts rows."""
    if not isinstance(x, Perturbed):
        return x
    stack = x.settled().unstack()
    return x.dense() if stack is None else stack
