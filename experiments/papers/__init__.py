"""Six papers, claim by claim: `python -m experiments.papers`."""
