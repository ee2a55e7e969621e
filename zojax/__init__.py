"""Zeroth-order (forward-pass-only) optimization for JAX, as optax transformations."""

from zojax.directions import Factors as Factors
from zojax.directions import MatrixView as MatrixView
from zojax.directions import Rows as Rows
from zojax.directions import Sampler as Sampler
from zojax.directions import combine as combine
from zojax.directions import coordinate as coordinate
from zojax.directions import factored as factored
from zojax.directions import gaussian as gaussian
from zojax.directions import materialize as materialize
from zojax.directions import rademacher as rademacher
from zojax.directions import sphere as sphere
from zojax.estimators import EstimateGradientState as EstimateGradientState
from zojax.estimators import Estimator as Estimator
from zojax.estimators import central as central
from zojax.estimators import estimate_gradient as estimate_gradient
from zojax.estimators import forward as forward
from zojax.evaluation import evaluate as evaluate
from zojax.methods import mezo as mezo
from zojax.transforms import skip_nonfinite as skip_nonfinite
