"""Where to look: recipes of directions, and the samplers that draw them."""

from zojax.directions._coordinate import coordinate as coordinate
from zojax.directions._factored import factored as factored
from zojax.directions._factors import Factors as Factors
from zojax.directions._isotropic import gaussian as gaussian
from zojax.directions._isotropic import rademacher as rademacher
from zojax.directions._isotropic import sphere as sphere
from zojax.directions._rows import Rows as Rows
from zojax.directions._sampler import Directions as Directions
from zojax.directions._sampler import Recipe as Recipe
from zojax.directions._sampler import Sampler as Sampler
from zojax.directions._sampler import combine as combine
from zojax.directions._sampler import materialize as materialize
from zojax.directions._sampler import wide as wide
from zojax.directions._views import MatrixView as MatrixView
from zojax.directions._views import Views as Views
from zojax.directions._views import last_two_axes as last_two_axes
