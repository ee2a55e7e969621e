"""Rules for operations that a perturbed array passes through, one file a kind of primitive."""
