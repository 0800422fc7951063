"""A MIG slice of a GPU: peaks scale with its share of the SMs, bandwidth with its eighths of the memory."""

from __future__ import annotations

from msgspec.structs import replace

from quantroof.hwprofiles.types import Device, Figure, HardwareProfile

# A GPU's memory and L2 are cut into eight slices (NVIDIA Multi-Instance GPU User Guide, "Partitioning").
_MEMORY_SLICES = 8
_SCALED = ("sm_count", "memory_gb", "memory_mib", "l2_mb", "bandwidth_gbps")
_CHANGED = (*_SCALED, "memory_bus_bits", "memory_gbps_per_pin", "tdp_w")


def mig_slice(whole: HardwareProfile, device: Device) -> HardwareProfile | None:
    """The profile of a slice, marked as scaled; None if NVML did not report its size."""
    if device.sm_count is None or device.memory_bytes is None:
        return None
    eighths = max(1, round(device.memory_bytes / (whole.memory_gb * 1e9) * _MEMORY_SLICES))
    share, memory = device.sm_count / whole.sm_count, min(eighths, _MEMORY_SLICES) / _MEMORY_SLICES
    text = f"{device.sm_count} of {whole.sm_count} SMs, {memory * _MEMORY_SLICES:.0f}/8 of the memory"
    kept = {field: source for field, source in whole.sources.items() if field not in _CHANGED}
    return replace(
        whole,
        id=f"{whole.id}/{device.mig}",
        origin="mig-slice",
        assumptions=(f"MIG {device.mig}: {text}; rates scaled by these",),
        sources={**kept, **dict.fromkeys(_SCALED, f"scaled to MIG {device.mig}: {text}")},
        sm_count=device.sm_count,
        memory_gb=whole.memory_gb * memory,
        memory_mib=device.memory_bytes / (1 << 20),
        memory_bus_bits=None,
        memory_gbps_per_pin=None,
        l2_mb=None if whole.l2_mb is None else whole.l2_mb * memory,
        tdp_w=None,
        bandwidth_gbps=_scaled(whole.bandwidth_gbps, memory),
        peaks=tuple(
            replace(
                peak,
                tflops=peak.tflops * share,
                sparse_tflops=None if peak.sparse_tflops is None else peak.sparse_tflops * share,
                basis="derived",
            )
            for peak in whole.peaks
        ),
    )


def _scaled(figure: Figure, share: float) -> Figure:
    return replace(figure, value=figure.value * share, basis="derived")
