"""Checks of arguments: every error names the argument, the value and the remedy.

Hyperparameters may be traced (`optax.inject_hyperparams`), so only concrete numbers are looked at.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from zojax._typing import Params


def _is_traced(value: Any) -> bool:
    return isinstance(value, jax.core.Tracer)


def is_real(value: Any) -> bool:
    """Whether `value` is an integer or floating-point number, or an array of such."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)


def _number(value: Any) -> float:
    """One concrete number as Python's, so that nothing is traced with it; nan for what is none."""
    return float(value) if is_real(value) and np.ndim(value) == 0 else math.nan


def learning_rate(**named: Any) -> None:
    """Raises ValueError unless every named rate is a finite number or a schedule.

    As in optax it may be 0, or negative to go uphill.
    """
    for name, value in named.items():
        if not (_is_traced(value) or callable(value) or math.isfinite(_number(value))):
            raise ValueError(
                f"{name} must be a finite number such as 1e-3, or a schedule (a function of the "
                f"step, as optax.linear_schedule returns), got {value!r}"
            )


def positive(**named: Any) -> None:
    """Raises ValueError unless every named number is finite and above 0."""
    for name, value in named.items():
        if not (_is_traced(value) or 0 < _number(value) < math.inf):
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def not_negative(**named: Any) -> None:
    """Raises ValueError unless every named number is finite and at least 0."""
    for name, value in named.items():
        if not (_is_traced(value) or 0 <= _number(value) < math.inf):
            raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")


def below_one(**named: Any) -> None:
    """Raises ValueError unless every named number, the decay of an average, is in [0, 1)."""
    for name, value in named.items():
        if not (_is_traced(value) or 0 <= _number(value) < 1):
            raise ValueError(f"{name} must be a number of at least 0 and below 1, got {value!r}")


def share(**named: Any) -> None:
    """Raises ValueError unless every named number is in [0, 1]."""
    for name, value in named.items():
        if not (_is_traced(value) or 0 <= _number(value) <= 1):
            raise ValueError(f"{name} must be a number from 0 to 1, got {value!r}")


def decay(**named: Any) -> None:
    """Raises ValueError unless every named decay of an average is in [0, 1), or a schedule."""
    below_one(**{name: value for name, value in named.items() if not callable(value)})


def at_least(minimum: int, **named: int) -> None:
    """Raises ValueError unless every named number is an integer of at least `minimum`.

    These fix shapes, so they cannot be traced.
    """
    for name, value in named.items():
        is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not is_integer or value < minimum:
            raise ValueError(
                f"{name} must be an integer of at least {minimum}, got {value!r}; it fixes shapes, "
                f"so under optax.inject_hyperparams name it in static_args"
            )


def stored_shape(array: Any, shape: tuple[int, ...], arguments: str) -> None:
    """Raises ValueError if an array of a stored state has not the shape that `arguments` fix."""
    if array.shape != shape:
        raise ValueError(
            f"the stored state has an array of shape {array.shape} where {arguments} ask for "
            f"{shape}: it belongs to a run with others; restore with the {arguments} of that run, "
            "or start anew with init(params)"
        )


def one_of(options: tuple[str | int, ...], **named: Any) -> None:
    """Raises ValueError unless every named word or integer is one of `options`."""
    for name, value in named.items():
        if not isinstance(value, str | int) or isinstance(value, bool) or value not in options:
            known = ", ".join(map(str, options))
            hint = "; under optax.inject_hyperparams name it in static_args"
            hint = hint if isinstance(value, jax.Array) else ""
            raise ValueError(f"{name} must be one of {known}, got {value!r}{hint}")


def flag(**named: Any) -> None:
    """Raises ValueError unless every named switch is a boolean."""
    for name, value in named.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be True or False, got {value!r}")


def instance(kind: type, such_as: str, **named: Any) -> None:
    """Raises TypeError unless every named object is of this class."""
    for name, value in named.items():
        if not isinstance(value, kind):
            hint = " (it was not called)" if callable(value) else ""
            raise TypeError(
                f"{name} must be of the class {kind.__name__}, such as {such_as}, got "
                f"{value!r}{hint}"
            )


def floating(params: Params) -> None:
    """Raises if `params` have no leaves (ValueError), or one that is no floating-point array.

    Raises:
      TypeError: for such a leaf.
      ValueError: for params without leaves.
    """
    if not jax.tree.leaves(params):
        raise ValueError(
            f"params have no arrays, got {params!r}: there is nothing to perturb. With Flax, "
            "nnx.split(model, nnx.Param, ...) or model.init(key, batch)['params'] give them; a "
            "filter that matches no variable of the model gives none"
        )
    for path, leaf in jax.tree.leaves_with_path(params):
        dtype = getattr(leaf, "dtype", None)
        if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
            kind = dtype if dtype is not None else type(leaf).__name__
            raise TypeError(
                f"params{jax.tree_util.keystr(path)} is {kind}, but only floating-point arrays can "
                "be perturbed; keep counters and flags out of params (with Flax: "
                "nnx.split(model, nnx.Param, ...)) and pass them to value_fn as an argument"
            )


def whole(params: Params) -> None:
    """Raises TypeError if `params` has the holes that `optax.masked` or `partition` leave."""
    holes = [leaf for leaf in jax.tree.leaves(params, is_leaf=_is_hole) if _is_hole(leaf)]
    if holes:
        raise TypeError(
            "params have holes (optax.MaskedNode): an estimating link stands inside optax.masked "
            "or optax.partition, where value_fn cannot be evaluated. Put it outside, and pass "
            "frozen weights to value_fn as an argument, e.g. nnx.split(model, nnx.LoRAParam, ...)"
        )


def _is_hole(leaf: Any) -> bool:
    return isinstance(leaf, optax.MaskedNode)


def given(link: str, **named: Any) -> None:
    """Raises ValueError if an argument that the update of `link` needs is missing."""
    for name, value in named.items():
        if value is None:
            raise ValueError(
                f"{link} needs `{name}`: call update(None, state, params, value_fn=loss, ...). If "
                "you did, a wrapper around it drops extra arguments (optax.lookahead, "
                "optax.contrib.sam, MultiSteps(...).gradient_transformation() in a chain): put "
                "that wrapper behind the estimate"
            )


def value_and_aux(out: Any, *, has_aux: bool) -> tuple[jax.Array, Any]:
    """What a value_fn returned: the loss, float32 or wider, and aux, () without any.

    Raises:
      TypeError: unless it is one floating-point number (a number of Python is one), or with
        `has_aux` a pair of one and anything.
    """
    if not has_aux:
        return _scalar_loss(out), ()
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            f"with has_aux=True value_fn must return (value, aux), got {_kind(out)}; leave has_aux "
            "out if it returns the loss alone"
        )
    return _scalar_loss(out[0]), out[1]


def _scalar_loss(value: Any) -> jax.Array:
    if isinstance(value, tuple):
        raise TypeError(
            "value_fn returned a tuple; pass has_aux=True if it returns (value, aux), "
            "else let it return the loss alone"
        )
    if not hasattr(value, "dtype") and (
        isinstance(value, bool) or not isinstance(value, int | float)
    ):
        raise TypeError(
            f"value_fn must return one floating-point number, an array of shape (); got "
            f"{_kind(value)}"
        )
    # A number of Python, such as the sum of an empty list, may have become an array of weak type.
    value = jnp.asarray(value)
    is_number = jnp.issubdtype(value.dtype, jnp.integer) and jax.typeof(value).weak_type
    if value.shape != () or not (is_number or jnp.issubdtype(value.dtype, jnp.floating)):
        raise TypeError(
            f"value_fn must return one floating-point number, shape (); got {value.dtype} of shape "
            f"{value.shape}. Reduce the loss, e.g. with .mean()"
        )
    return value.astype(jnp.promote_types(value.dtype, jnp.float32))


def _kind(value: Any) -> str:
    return type(value).__name__
