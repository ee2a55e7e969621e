"""Links behind an estimate that are told what it measured."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from zojax._dtypes import widened
from zojax._typing import Params
from zojax.estimators._estimate_gradient import EstimateGradientState


def chain(
    estimate: optax.GradientTransformationExtraArgs, *links: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """`optax.chain` of an estimate and links that see what was measured.

    The links get more extra arguments, besides those of `update`: `value`, the mean loss of the
    step, as `optax.contrib.reduce_on_plateau` asks for; `coefficients`, (K,); `is_finite`, whether
    the losses gave an estimate; and, if the estimator has one, `curvature`. With `accumulate` they
    are run in the calls that complete an estimate; in the others the updates are -0.0, and the
    links keep their state. With `wide_updates` (see `zojax.estimate_gradient`) they see params in
    float32 as well.

    The state is that of `optax.chain`: a tuple, the estimate's first.

    Args:
      estimate: `zojax.estimate_gradient(...)`.
      *links: what comes behind it.

    Raises:
      TypeError: in `init` if the first link is no estimate.
    """
    behind = optax.chain(*links)

    def init_fn(params: Params) -> tuple[Any, ...]:
        first = estimate.init(params)
        if not isinstance(_measured(first), EstimateGradientState):
            raise TypeError(
                "zojax.chain begins with an estimate, zojax.estimate_gradient(...); for others "
                f"take optax.chain. The state of its first link is {type(first).__name__}"
            )
        return (first, *behind.init(params))

    def update_fn(
        updates: optax.Updates, state: tuple[Any, ...], params: Params | None = None, **extra: Any
    ) -> tuple[optax.Updates, tuple[Any, ...]]:
        before, *kept = state
        updates, first = estimate.update(updates, before, params, **extra)
        measured = _measured(first)
        told = {"value": measured.value, "coefficients": measured.coefficients}
        told["is_finite"] = measured.num_nonfinite == _measured(before).num_nonfinite
        if not isinstance(measured.mean_curvature, tuple):
            told["curvature"] = measured.mean_curvature
        told |= extra
        if extra.get("wide_updates"):
            params = widened(params)

        def run(updates: optax.Updates) -> tuple[optax.Updates, tuple[Any, ...]]:
            return behind.update(updates, tuple(kept), params, **told)

        def wait(updates: optax.Updates) -> tuple[optax.Updates, tuple[Any, ...]]:
            shapes, _ = jax.eval_shape(run, updates)
            nothing = jax.tree.map(lambda out: jnp.full(out.shape, -0.0, out.dtype), shapes)
            return nothing, tuple(kept)

        if not measured.accumulated:
            updates, kept = run(updates)
        else:
            is_complete = measured.count > _measured(before).count
            updates, kept = jax.lax.cond(is_complete, run, wait, updates)
        return updates, (first, *kept)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _measured(state: Any) -> Any:
    """The state of the estimate, which some links keep beside what they remember of it."""
    return getattr(state, "estimate", state)
