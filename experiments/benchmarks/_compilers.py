"""The compilers of TPUs and of an H100, asked on a machine that has neither.

They come with `jax[tpu]` (libtpu) and with JAX's plugin for CUDA 12; no driver and no device is
needed to compile. What is compiled cannot be run, but says how much memory it takes, and for a TPU
how many bytes it moves.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from experiments.benchmarks._steps import compiled

# What the driver says of an H100 with SXM, as XLA's GpuTargetConfigProto in text.
_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 84978434048
  cuda_compute_capability { major: 9 minor: 0 feature_extension: ACCELERATED_FEATURES }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
runtime_version { major: 12 minor: 9 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
_TPU_ENVIRONMENT = {
    # Or libtpu asks a metadata server which machine this is.
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    # Nothing runs on a TPU here, so that several processes may have loaded it.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
}


class Machine(NamedTuple):
    """What a program may be compiled for.

    Attributes:
      name: as tables have it.
      topology: of the TPU slice, such as "v5e:4x4"; None for one H100.
    """

    name: str
    topology: str | None = None

    @property
    def missing(self) -> str | None:
        """What has to be installed before its compiler can be asked; None if nothing."""
        needed, extra = ("libtpu", "tpu-compiler") if self.topology else (_PTXAS, "cuda-compiler")
        return None if _found(needed) else f"pip install 'zojax[{extra}]'"

    def devices(self) -> Sequence[Any]:
        """Its devices, which stand in shardings and meshes but hold nothing."""
        if self.topology is None:
            how = {"topology_name": "", "topology": "1x1x1", "target_config": _H100}
            return topologies.get_topology_desc(platform="cuda", **how).devices
        for name, value in _TPU_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        return topologies.get_topology_desc(platform="tpu", topology_name=self.topology).devices


_PTXAS = "nvidia.cuda_nvcc"
MACHINES = (Machine("TPU v5e", "v5e:2x2"), Machine("TPU v6e", "v6e:2x2"), Machine("H100"))


def use_compilers() -> None:
    """Prepares this process for compiling for machines that are not here; before jax is used."""
    jax.config.update("jax_platforms", "cpu")  # where arrays lie that are made while tracing
    flags = ["--xla_gpu_autotune_level=0"]  # which times kernels on a device
    if _found(_PTXAS):
        (folder,) = importlib.util.find_spec(_PTXAS).submodule_search_locations
        flags.append(f"--xla_gpu_cuda_data_dir={folder}")  # ptxas and libdevice
    os.environ["XLA_FLAGS"] = " ".join([*flags, os.environ.get("XLA_FLAGS", "")]).strip()


def compiled_for(
    sharding: jax.sharding.Sharding, fn: Callable, *shapes: Any, donate: tuple[int, ...] = ()
) -> tuple[Any, float]:
    """The program for trees of shapes that all lie so, and the seconds that it took."""
    placed = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), shapes
    )
    return compiled(fn, *placed, donate=donate)


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False
