"""How programs that run once are compiled: compiling is all that they cost."""

import jax

QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_parallel_codegen_split_count": 1}
if jax.__version_info__ < (0, 11):  # later ones have one emitter of fusions only
    QUICKLY["xla_cpu_use_fusion_emitters"] = False
