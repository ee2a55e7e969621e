"""Links of a chain that optax lacks."""

from zojax.transforms._anchored import AnchoredState as AnchoredState
from zojax.transforms._anchored import estimate_with_anchor as estimate_with_anchor
from zojax.transforms._anchored import rests_at_anchor as rests_at_anchor
from zojax.transforms._box import project_to_box as project_to_box
from zojax.transforms._decaying_gain import ScaleByDecayingGainState as ScaleByDecayingGainState
from zojax.transforms._decaying_gain import scale_by_decaying_gain as scale_by_decaying_gain
from zojax.transforms._float32_masters import KeepFloat32MastersState as KeepFloat32MastersState
from zojax.transforms._float32_masters import keep_float32_masters as keep_float32_masters
from zojax.transforms._in_finite_steps import in_finite_steps as in_finite_steps
from zojax.transforms._in_float32 import in_float32 as in_float32
from zojax.transforms._in_steps import in_steps as in_steps
from zojax.transforms._orthogonalize import orthogonalize as orthogonalize
from zojax.transforms._power_iteration import PowerIterationState as PowerIterationState
from zojax.transforms._power_iteration import power_iteration as power_iteration
from zojax.transforms._r_adazo import ScaleByRAdazoState as ScaleByRAdazoState
from zojax.transforms._r_adazo import r_adazo_update as r_adazo_update
from zojax.transforms._r_adazo import scale_by_r_adazo as scale_by_r_adazo
from zojax.transforms._replayed import ReplayedState as ReplayedState
from zojax.transforms._replayed import estimate_then as estimate_then
from zojax.transforms._rest_large_weights import RestLargeWeightsState as RestLargeWeightsState
from zojax.transforms._rest_large_weights import rest_large_weights as rest_large_weights
from zojax.transforms._round_stochastically import (
    RoundStochasticallyState as RoundStochasticallyState,
)
from zojax.transforms._round_stochastically import round_stochastically as round_stochastically
from zojax.transforms._running_average import RunningAverageState as RunningAverageState
from zojax.transforms._running_average import running_average as running_average
from zojax.transforms._separable_adam import MomentsState as MomentsState
from zojax.transforms._separable_adam import (
    estimate_with_separable_adam as estimate_with_separable_adam,
)
from zojax.transforms._separable_adam import scale_by_uncorrected_adam as scale_by_uncorrected_adam
from zojax.transforms._skipping import skip_nonfinite as skip_nonfinite
from zojax.transforms._slope_rms import ScaleBySlopeRmsState as ScaleBySlopeRmsState
from zojax.transforms._slope_rms import scale_by_slope_rms as scale_by_slope_rms
from zojax.transforms._stay_below_edge import StayBelowEdgeState as StayBelowEdgeState
from zojax.transforms._stay_below_edge import stay_below_edge as stay_below_edge
from zojax.transforms._stochastic_round import stochastic_round as stochastic_round
from zojax.transforms._weight_decay import weight_decay_links as weight_decay_links
from zojax.transforms._zo_adamm import ScaleByZoAdammState as ScaleByZoAdammState
from zojax.transforms._zo_adamm import scale_by_zo_adamm as scale_by_zo_adamm
from zojax.transforms._zo_adamm import zo_adamm_update as zo_adamm_update
