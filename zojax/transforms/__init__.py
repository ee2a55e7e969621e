"""Links of a chain that optax lacks."""

from zojax.transforms._skipping import skip_nonfinite as skip_nonfinite
