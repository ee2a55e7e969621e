"""Measurements → coefficients, and the link that makes an estimate of them."""

from zojax._measurement import Estimate as Estimate
from zojax._measurement import Probe as Probe
from zojax.estimators._averaged_baseline import averaged_baseline as averaged_baseline
from zojax.estimators._central import central as central
from zojax.estimators._central_with_curvature import (
    central_with_curvature as central_with_curvature,
)
from zojax.estimators._chain import chain as chain
from zojax.estimators._estimate_gradient import EstimateGradientState as EstimateGradientState
from zojax.estimators._estimate_gradient import estimate_gradient as estimate_gradient
from zojax.estimators._estimator import Estimator as Estimator
from zojax.estimators._fitness_shaped import fitness_shaped as fitness_shaped
from zojax.estimators._forward import forward as forward
from zojax.estimators._kernel_weighted import kernel_weighted as kernel_weighted
from zojax.estimators._leave_one_out import leave_one_out as leave_one_out
from zojax.estimators._moving_average import moving_average as moving_average
from zojax.estimators._no_updates import no_updates as no_updates
from zojax.estimators._recorded import Recorded as Recorded
from zojax.estimators._standardized_central import standardized_central as standardized_central
from zojax.estimators._standardized_forward import standardized_forward as standardized_forward
from zojax.estimators._state_field import state_field as state_field
from zojax.estimators._telescoping import telescoping as telescoping
