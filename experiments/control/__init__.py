"""Optimisation where there is no gradient: a simulator's return, and mistakes that are counted."""
