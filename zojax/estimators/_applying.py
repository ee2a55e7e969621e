"""From the coefficients of a step to its updates, and what is remembered of it."""

from typing import Any, NamedTuple

import jax
import optax

from zojax._measurement import Estimate
from zojax._mesh import Axes
from zojax._typing import Params
from zojax.estimators import _inner, _per_query, _window
from zojax.estimators._estimator import Estimator
from zojax.estimators._shares import combine_shared
from zojax.recipes import Directions
from zojax.samplers import Sampler


class Apply(NamedTuple):
    """How updates are formed: the arguments of `zojax.estimate_gradient` of the same names."""

    sampler: Sampler
    estimator: Estimator
    inner: optax.GradientTransformation | None
    per_query: optax.GradientTransformation | None
    axes: Axes
    read_once: bool

    def init_links(self, params: Params) -> Any:
        """The state of `per_query` or `inner`."""
        if self.per_query:
            return self.per_query.init(params)
        return _inner.init(self.sampler, self.inner, params)

    def updates(
        self,
        estimate: Estimate,
        finite: jax.Array,
        directions: Directions,
        sampler_state: Any,
        state: Any,
        params: Params,
    ) -> tuple[Params, Any, Any]:
        """The updates, the state of the links, and that of the sampler after what it saw.

        Args:
          estimate: with coefficients 0 if it is not finite.
          finite: whether it is.
          directions: K of them, of this step.
          sampler_state: after the draw.
          state: of `estimate_gradient` before the step.
          params: the params.
        """
        coefficients = estimate.coefficients
        now = coefficients[0] if self.estimator.history else coefficients
        seen = estimate._replace(coefficients=now)
        learned = (sampler_state, directions, seen, params)
        if self.per_query:
            updates, links = _per_query.apply(
                self.per_query, state.inner, now, directions, params, finite
            )
            return updates, links, self.sampler.observe(*learned)
        at_once = self.inner is None and not self.estimator.history
        if at_once and self.sampler.combine_and_observe:
            updates, observed = self.sampler.combine_and_observe(*learned)
            return updates, (), observed
        window = _window.directions(self.sampler, self.estimator, directions, state, params)
        estimated = combine_shared(
            coefficients.reshape(-1), window, params, self.axes, read_once=self.read_once
        )
        updates, links = _inner.apply(
            self.sampler,
            self.inner,
            state,
            sampler_state,
            now,
            directions,
            estimated,
            params,
            finite,
        )
        return updates, links, self.sampler.observe(*learned)
