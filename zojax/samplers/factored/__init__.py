"""Directions of low rank, products of thin factors."""

from zojax.samplers.factored._activation_guided import activation_guided as activation_guided
from zojax.samplers.factored._factored import factored as factored
from zojax.samplers.factored._probed import ProbedState as ProbedState
from zojax.samplers.factored._probed import probed as probed
