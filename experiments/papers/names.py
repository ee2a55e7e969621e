"""What arms and problems are called, in the runs and in the tables."""

BASELINE = "MeZO"
# All weights of the vision transformer in two sizes.
WHOLE, SMALL = "digits, 77,285 weights", "digits, 18,053 weights"
STEEP, VALLEY = "one steep direction", "Rosenbrock"
LEVY, NOISY, JUMPING = "Levy", "Levy with noise", "Levy with jumps"
# Of adapters: their scales, ranks and noise in every evaluation.
OURS, USUAL = "α", "α/r"
RANKS, NOISES = (1, 8, 64), (0.0, 0.01)


def adapter(rank: int, scale: str, noise: float) -> str:
    """A problem; at rank 1 both scales are one."""
    return f"adapter of rank {rank}, s = {OURS if rank == 1 else scale}, σ = {noise:g}"
