"""The nouns of this room: Device (what is there) and HardwareProfile (what its vendor says it can do)."""

from __future__ import annotations

from typing import Literal

import msgspec

DeviceKind = Literal["cuda", "cpu", "sim"]


class CpuInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the operating system says of the host's processor. Caches are in bytes, None where not reported."""

    model: str
    physical_cores: int | None
    usable_cores: int
    isa: tuple[str, ...] = ()
    l1d_bytes: int | None = None
    l2_bytes: int | None = None
    l3_bytes: int | None = None


class PcieLink(msgspec.Struct, frozen=True, kw_only=True):
    """Generation and lane count of a PCIe link, now and at best. None where not reported."""

    generation: int | None = None
    width: int | None = None
    max_generation: int | None = None
    max_width: int | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One detected accelerator, the CPU, or a simulated device. None means "not reported", never zero.

    `index` counts devices of a kind as this process sees them (torch's ordinal for CUDA), `nvml_index` is
    the physical one. `llc_bytes` is the last-level cache that a cold measurement must rotate past: L2 on a
    GPU, L3 on a CPU.
    """

    kind: DeviceKind
    index: int
    name: str
    uuid: str | None = None
    nvml_index: int | None = None
    compute_capability: str | None = None
    sm_count: int | None = None
    memory_bytes: int | None = None
    llc_bytes: int | None = None
    memory_bus_bits: int | None = None
    max_sm_clock_mhz: int | None = None
    max_memory_clock_mhz: int | None = None
    power_limit_w: float | None = None
    default_power_limit_w: float | None = None
    ecc: bool | None = None
    mig: str | None = None
    driver: str | None = None
    pcie: PcieLink | None = None
    cpu: CpuInfo | None = None
    profile_id: str | None = None

    @property
    def id(self) -> str:
        """Stable text for one device of a run: `cuda:0`, `cpu:0`, `sim:h100-sxm5-80gb`."""
        return f"sim:{self.profile_id}" if self.kind == "sim" else f"{self.kind}:{self.index}"

    @property
    def capability(self) -> tuple[int, int] | None:
        """Compute capability as (major, minor), or None for a device that has none."""
        if self.compute_capability is None:
            return None
        major, _, minor = self.compute_capability.partition(".")
        return int(major), int(minor or 0)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One published number with the place it comes from."""

    value: float
    source: str


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """A dense matrix (or vector) peak: 2 operations a multiply-add, no structured sparsity.

    `tflops` counts 10^12 operations a second (TOP/s for integers) at `clock_mhz`; the accumulator is part of
    the key because GeForce parts halve the fp32-accumulating rate.
    """

    element: str
    accumulator: str
    tflops: float
    clock_mhz: float | None = None
    source: str

    @property
    def flops_per_s(self) -> float:
        """The peak in operations a second."""
        return self.tflops * 1e12


class HardwareProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a model of device can do by its vendor. Every rate has a source; unknown is None."""

    id: str
    device_names: tuple[str, ...]
    vendor: str
    architecture: str
    compute_capability: str
    sm_count: int
    boost_mhz: float | None = None
    tensor_mhz: float | None = None
    memory_gb: float
    memory_type: str
    memory_bus_bits: int | None = None
    l2_mb: float | None = None
    tdp_w: float | None = None
    rate_class: Literal["full", "half", "geforce", "special"] = "full"
    bandwidth_gbps: Figure
    peaks: tuple[Peak, ...] = ()
    notes: str | None = None

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Datasheet DRAM bandwidth in bytes a second."""
        return self.bandwidth_gbps.value * 1e9

    def peak(self, element: str, accumulator: str | None = None) -> Peak | None:
        """The dense peak of an element type; without an accumulator the one libraries use (fp32 or int32)."""
        wanted = accumulator or ("int32" if element.startswith("int") else "fp32")
        return next((p for p in self.peaks if p.element == element and p.accumulator == wanted), None)
