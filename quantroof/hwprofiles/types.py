"""The types of this room: Device (what is present) and HardwareProfile (figures of its vendor)."""

from __future__ import annotations

from typing import Literal

import msgspec

from quantroof.bounds import Amount, Capability, Count, Positive

DeviceKind = Literal["cuda", "cpu", "sim"]
Processor = Literal["cpu", "gpu"]
"""What kernels, timers and limits are made for."""
RateClass = Literal["full", "half", "geforce", "special", "amd", "unknown"]
"""How a board's matrix rates relate to its compute capability's: `geforce` halves fp32 accumulation, `half`
halves every matrix format, `special` fits no rule, `amd` and `unknown` have none."""
Unit = Literal["matrix", "vector"]
SourceGrade = Literal["vendor", "transcribed", "derived", "unverified"]
"""`vendor` was read in a vendor's document or on the device itself, `transcribed` in someone's copy of it;
`derived` is clock x rate or a ratio; `unverified` has no document behind it and is the weakest."""
Origin = Literal["catalog", "derived", "mig-slice"]
Discriminator = Literal["sm_count", "memory_gb"]
# A vendor's GB may be GiB, and ECC and firmware keep some memory. 8 % tells 10 GB from 12 GB.
_MEMORY_SLACK = 0.08


class CpuInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the operating system reports about the host's processor; None for what it does not report.

    `l1d_bytes` and `l2_bytes` are one core's; `l3_bytes` is the sum over the L3 instances that the usable
    cores share, because that is what a cold measurement must rotate past. `usable_cores` respects the
    affinity mask and the cgroup quota.
    """

    model: str
    physical_cores: Count | None
    usable_cores: Count
    isa: tuple[str, ...] = ()
    l1d_bytes: Count | None = None
    l2_bytes: Count | None = None
    l3_bytes: Count | None = None


def isa_change(before: tuple[str, ...], after: tuple[str, ...]) -> str | None:
    """Instruction sets that one of two CPUs lacks, as `-avx512f +amx_tile`; None for none or where one is
    unknown. A hypervisor can hide them, and the processor keeps its name."""
    if not before or not after or set(before) == set(after):
        return None
    lost = [f"-{name}" for name in before if name not in after]
    return " ".join([*lost, *(f"+{name}" for name in after if name not in before)])


class PcieLink(msgspec.Struct, frozen=True, kw_only=True):
    """Generation and lane count of a PCIe link, now and at best. None if not reported."""

    generation: Count | None = None
    width: Count | None = None
    max_generation: Count | None = None
    max_width: Count | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One detected accelerator, the CPU, or a simulated device. None means "not reported", never zero.

    `index` counts devices of a kind as this process sees them (torch's ordinal for CUDA), `nvml_index` is
    the physical one. `llc_bytes` is the last-level cache that a cold measurement must rotate past: L2 on a
    GPU, L3 on a CPU.
    """

    kind: DeviceKind
    index: Count
    name: str
    uuid: str | None = None
    nvml_index: Count | None = None
    compute_capability: Capability | None = None
    sm_count: Count | None = None
    memory_bytes: Count | None = None
    llc_bytes: Count | None = None
    memory_bus_bits: Count | None = None
    max_sm_clock_mhz: Count | None = None
    """The highest clock that can be set: on GeForce up to 30 % above what the board is rated for."""
    rated_sm_clock_mhz: Count | None = None
    """The boost clock the vendor rates the board at, as CUDA reports it."""
    max_memory_clock_mhz: Count | None = None
    power_limit_w: Amount | None = None
    default_power_limit_w: Amount | None = None
    ecc: bool | None = None
    mig: str | None = None
    """Profile of a MIG slice (`1g.10gb`), None for a whole GPU."""
    mig_parent: str | None = None
    """UUID of the GPU a MIG slice belongs to."""
    driver: str | None = None
    vbios: str | None = None
    """Version of the board's firmware; None in runs that were made before it was read."""
    pci: str | None = None
    """The PCI address, as Linux writes it: `0000:5d:00.0`."""
    serial: str | None = None
    """The serial number on the board; GeForce boards do not report one."""
    slot: str | None = None
    """The slot of the chassis, where the system names it."""
    pcie: PcieLink | None = None
    cpu: CpuInfo | None = None
    profile_id: str | None = None
    injected_fault: str | None = msgspec.field(name="planted", default=None)
    """The fault of a simulated device (`hwprofiles.simulated`); records name the field `planted`."""
    host: str | None = None
    """The host that a simulated device pretends to be in; None for the machine that runs."""

    @property
    def id(self) -> str:
        """Stable text for one device of a run: `cuda:0`, `cpu:0`, `sim:h100-sxm5-80gb`, `sim:l40s#3`."""
        if self.kind != "sim":
            return f"{self.kind}:{self.index}"
        return f"sim:{self.profile_id}" + (f"#{self.index}" if self.index else "")

    @property
    def processor(self) -> Processor:
        """`cpu`, or `gpu` for a CUDA device and for a simulated one."""
        return "cpu" if self.kind == "cpu" else "gpu"

    @property
    def capability(self) -> tuple[int, int] | None:
        """Compute capability as (major, minor), or None for a device that has none."""
        if self.compute_capability is None:
            return None
        major, _, minor = self.compute_capability.partition(".")
        return int(major), int(minor or 0)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number with the place it comes from and how much that place is worth."""

    value: Positive
    source: str
    basis: SourceGrade = "transcribed"
    note: str | None = None


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """A dense peak: a multiply-add is 2 operations, no structured sparsity.

    `tflops` is in 10^12 operations per second (TOP/s for integers) at `clock_mhz`; the accumulator is part
    of the key because GeForce parts halve the fp32-accumulating rate. `unit` tells the matrix units (tensor
    cores) from the vector pipes. `sparse_tflops` is the 2:4-sparse figure where the vendor prints one; it is
    never a roof here.
    """

    element: str
    accumulator: str
    tflops: Positive
    unit: Unit = "matrix"
    clock_mhz: Positive | None = None
    sparse_tflops: Positive | None = None
    source: str
    basis: SourceGrade = "transcribed"
    note: str | None = None

    @property
    def key(self) -> str:
        """What identifies a peak within a profile: `matrix.bf16.fp32`."""
        return f"{self.unit}.{self.element}.{self.accumulator}"

    @property
    def flops_per_s(self) -> float:
        """The peak in operations per second."""
        return self.tflops * 1e12


class HardwareProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a model of device can do according to its vendor. Every number has a source; unknown is None.

    `sources` names, by field, the source of each number that is not a Figure. `origin` is the catalog, a
    formula, or the scaling to a MIG slice; `assumptions` state what such a profile rests on. Devices that
    share a name are distinguished by the `discriminators`.
    """

    id: str
    device_names: tuple[str, ...]
    vendor: str
    architecture: str
    compute_capability: str
    sm_count: Count
    boost_mhz: Positive | None = None
    tensor_mhz: Positive | None = None
    memory_gb: Positive
    memory_mib: Positive | None = None
    """What the driver reports of `memory_gb`, which vendors round and count in GB or GiB."""
    memory_type: str
    memory_bus_bits: Count | None = None
    memory_gbps_per_pin: Positive | None = None
    l2_mb: Positive | None = None
    l1_kb: Positive | None = None
    shared_kb: Positive | None = None
    tdp_w: Positive | None = None
    rate_class: RateClass = "full"
    bandwidth_gbps: Figure
    peaks: tuple[Peak, ...] = ()
    notes: str | None = None
    sources: dict[str, str] = {}
    discriminators: tuple[Discriminator, ...] = ()
    origin: Origin = "catalog"
    assumptions: tuple[str, ...] = ()

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Datasheet DRAM bandwidth in bytes per second."""
        return self.bandwidth_gbps.value * 1e9

    @property
    def memory_bytes(self) -> float:
        """The memory that the driver reports; the vendor's GB, the lower reading, where that is not known."""
        return self.memory_gb * 1e9 if self.memory_mib is None else self.memory_mib * (1 << 20)

    def has_memory(self, memory_bytes: int) -> bool:
        """Whether a device with this memory can be of this model."""
        return any(abs(memory_bytes / (self.memory_gb * unit) - 1) < _MEMORY_SLACK for unit in (1e9, 1 << 30))

    def peak(self, element: str, accumulator: str | None = None) -> Peak | None:
        """The dense peak of an element type, on the matrix units where they have it.

        Without an accumulator the one that libraries use: int32 for integers, fp64 for fp64, else fp32.
        """
        wanted = accumulator or default_accumulator(element)
        found = [p for p in self.peaks if p.element == element and p.accumulator == wanted]
        return min(found, key=lambda p: p.unit, default=None)  # "matrix" sorts before "vector"


def default_accumulator(element: str) -> str:
    """What libraries accumulate an element type in."""
    if element.startswith("int") or element == "b1":
        return "int32"
    return "fp64" if element == "fp64" else "fp32"
