"""Where to look: samplers of directions, a folder for each family."""

from zojax.samplers._kernel_views import kernels_as_matrices as kernels_as_matrices
from zojax.samplers._sampler import Sampler as Sampler
from zojax.samplers._subspace import Subspace as Subspace
from zojax.samplers._views import Views as Views
from zojax.samplers._views import last_axis_rows as last_axis_rows
from zojax.samplers._views import last_two_axes as last_two_axes
from zojax.samplers._views import smaller_side as smaller_side
from zojax.samplers.aligned import ConeState as ConeState
from zojax.samplers.aligned import cone as cone
from zojax.samplers.anisotropic import AnisotropicState as AnisotropicState
from zojax.samplers.anisotropic import anisotropic as anisotropic
from zojax.samplers.blocks import Atoms as Atoms
from zojax.samplers.blocks import Labels as Labels
from zojax.samplers.blocks import Slices as Slices
from zojax.samplers.blocks import atom_labels as atom_labels
from zojax.samplers.blocks import blocks as blocks
from zojax.samplers.blocks import flax_factors as flax_factors
from zojax.samplers.blocks import layer_blocks as layer_blocks
from zojax.samplers.factored import factored as factored
from zojax.samplers.isotropic import coordinate as coordinate
from zojax.samplers.isotropic import gaussian as gaussian
from zojax.samplers.isotropic import rademacher as rademacher
from zojax.samplers.isotropic import sphere as sphere
from zojax.samplers.selected import SelectedState as SelectedState
from zojax.samplers.selected import selected as selected
