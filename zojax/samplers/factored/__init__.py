"""Directions of low rank, products of thin factors."""

from zojax.samplers.factored._factored import factored as factored
