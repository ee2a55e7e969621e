"""How programs of tests are compiled: quickly, or to run fast."""

import jax

# A program of a test runs for moments: making it fast costs more than it saves.
QUICKLY = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
}
if jax.__version_info__ < (0, 11):  # later ones have one emitter of fusions only
    QUICKLY["xla_cpu_use_fusion_emitters"] = False

# For a program that runs longer than it compiles: `jax.jit(..., compiler_options=OPTIMIZED)`.
OPTIMIZED = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
# With the emitter of fusions that is the default. Buffers are laid out before machine code is made,
# so this is enough for what is said of the memory of programs as users have them.
BUFFERS_AS_USERS_HAVE = (
    {"xla_cpu_use_fusion_emitters": True} if "xla_cpu_use_fusion_emitters" in QUICKLY else {}
)
# For what is compared bit by bit.
AS_USERS_HAVE = {**OPTIMIZED, **BUFFERS_AS_USERS_HAVE}


def as_flags(options: dict[str, int | bool]) -> list[str]:
    """Options as XLA_FLAGS has them, for all programs of a process."""
    return [f"--{name}={str(value).lower()}" for name, value in options.items()]
