"""Links of optax whose state must not be narrow."""

import optax

from zojax._dtypes import widened


def in_float32(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """`inner` with updates, params and state that are float32, or wider where params are.

    What comes out has the dtypes of what went in. In bfloat16, with 8 significant bits, an average
    does not take in what is much smaller than itself.

    Args:
      inner: a transformation that needs no extra arguments.
    """

    def update_fn(updates, state, params=None):
        new_updates, state = inner.update(widened(updates), state, widened(params))
        return optax.tree.cast_like(new_updates, updates), state

    return optax.GradientTransformation(lambda params: inner.init(widened(params)), update_fn)
