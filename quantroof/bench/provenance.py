"""Provenance of a run: versions, host, source revision, and an id that sorts by time."""

from __future__ import annotations

import os
import platform
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from quantroof import __version__
from quantroof.hwprofiles.types import Device
from quantroof.records.run import Host

# What decides a number: the measuring code and the libraries under it.
_PACKAGES = (
    "torch",
    "triton",
    "cupy-cuda13x",
    "cupy-cuda12x",
    "nvidia-ml-py",
    "numpy",
    "bitsandbytes",
    "gemlite",
)


# Variables with these beginnings steer kernels, threads, allocators or precision. Folders decide no number.
_STEERING = (
    *("ATEN_", "DNNL_", "ONEDNN_", "MKL_", "MKLDNN_", "OPENBLAS_", "BLIS_", "OMP_", "GOMP_", "KMP_", "TBB_"),
    *("CUBLAS_", "CUBLASLT_", "CUDA_", "CUDNN_", "CUPY_", "NCCL_", "NVIDIA_TF32_OVERRIDE"),
    *("PYTORCH_", "TORCH_", "TORCHDYNAMO_", "TORCHINDUCTOR_", "TRITON_", "BNB_", "GEMLITE_"),
    *("GLIBC_TUNABLES", "MALLOC_", "TCMALLOC_", "LD_PRELOAD"),
)
_NOT_STEERING = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")  # the header names the devices themselves
_FOLDERS = ("_DIR", "_HOME", "_PATH", "_ROOT", "_VERSION")
_VALUE_CHARACTERS = 200


def now() -> str:
    """UTC time as ISO 8601 text."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_run_id() -> str:
    """`20261121-143012-3fa9`: sorts by time, and two runs of one second differ."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def versions() -> dict[str, str]:
    """Versions of quantroof, Python and the installed libraries, found without importing them."""
    found = {"quantroof": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that steer the libraries. `ONEDNN_MAX_CPU_ISA=AVX2` made a product 48 times slower."""
    names = (name for name in sorted(variables) if name.startswith(_STEERING))
    return {
        name: variables[name][:_VALUE_CHARACTERS]
        for name in names
        if name not in _NOT_STEERING and not name.endswith(_FOLDERS)
    }


def host_name(devices: Sequence[Device] = ()) -> str:
    """The name of the machine, or of the one that simulated devices pretend to be in."""
    return next((device.host for device in devices if device.host), platform.node())


def host(devices: Sequence[Device] = ()) -> Host:
    """The machine this process runs on, by the name of `host_name`."""
    return Host(
        name=host_name(devices) or None,
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine() or None,
        cpus=os.cpu_count(),
    )


def source_revision() -> str | None:
    """`git describe` of the checkout this package runs from, or None for an installed one."""
    package = Path(__file__).resolve().parent.parent
    if not (package.parent / ".git").exists():
        return None
    command = ["git", "-C", str(package), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
