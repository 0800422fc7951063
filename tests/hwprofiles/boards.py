"""GPUs by hand, for tests of numbering, matching and cross-checks."""

from __future__ import annotations

from typing import Any

from quantroof.hwprofiles.gpus import PhysicalGpu
from quantroof.hwprofiles.types import Device, PcieLink


def gpu(**changes: Any) -> Device:
    """An H100 SXM as a driver reports it."""
    fields: dict[str, Any] = {
        "kind": "cuda",
        "index": 0,
        "nvml_index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-00000000-0000-4000-8000-000000000000",
        "compute_capability": "9.0",
        "sm_count": 132,
        "memory_bytes": 85_520_809_984,
        "memory_bus_bits": 5120,
        "max_sm_clock_mhz": 1980,
        "max_memory_clock_mhz": 2619,
        "power_limit_w": 700.0,
        "default_power_limit_w": 700.0,
        "ecc": True,
        "driver": "580.159.04",
        "pcie": PcieLink(generation=5, width=16, max_generation=5, max_width=16),
    }
    return Device(**{**fields, **changes})


def board(uuid: str, *, cores: int = 16896, slices: tuple[str, ...] | None = None) -> PhysicalGpu:
    """A physical GPU with the UUIDs of its MIG slices, None with MIG off."""
    device = gpu(uuid=uuid)
    parts = None if slices is None else tuple(gpu(uuid=s, mig="3g.40gb", mig_parent=uuid) for s in slices)
    return PhysicalGpu(device, cores, parts)


def h200() -> Device:
    """An H200 SXM with its L2, as CUDA reports it."""
    return Device(
        kind="cuda",
        index=0,
        name="NVIDIA H200",
        compute_capability="9.0",
        sm_count=132,
        llc_bytes=62_914_560,
        memory_bytes=150_109_880_320,
    )
