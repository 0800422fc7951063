"""The GPUs that NVML lists: identity, limits and MIG slices. What a driver does not report is None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from quantroof.finding import Finding
from quantroof.hwprofiles.compute import lanes_per_sm
from quantroof.hwprofiles.nvml import Board, Handle, ask, dead, number, nvml_library, positive, watts
from quantroof.hwprofiles.pci_slot import pci_address, slot_of
from quantroof.hwprofiles.types import Device


@dataclass(frozen=True, slots=True)
class PhysicalGpu:
    """One GPU, with its MIG slices where MIG is on. `index` of its devices is NVML's, not CUDA's."""

    device: Device
    cores: int | None
    slices: tuple[Device, ...] | None = None
    """None if MIG is off; empty if MIG is on and no slice exists."""


def physical_gpus() -> tuple[tuple[PhysicalGpu, ...], tuple[Finding, ...]]:
    """Every GPU that answers, in NVML's order (PCI bus), and a finding for every one that does not.

    NvmlUnavailable where NVML cannot be used.
    """
    library = nvml_library()
    driver = ask(library.nvmlSystemGetDriverVersion)
    count = number(library.nvmlDeviceGetCount) or 0
    gpus, lost = [], []
    for index in range(count):
        handle = ask(library.nvmlDeviceGetHandleByIndex, index)
        reason = dead(library, index)
        if handle is not None and reason is None:
            gpus.append(_gpu(library, handle, index, driver))
        elif reason is not None:  # a GPU that fell off the bus is counted and has no handle
            text = f"GPU {index} does not answer: {reason}"
            lost.append(Finding("warning", "gpu_lost", text, "reset the GPU or restart the node"))
    return tuple(gpus), tuple(lost)


def _gpu(library: Any, handle: Handle, index: int, driver: str | None) -> PhysicalGpu:
    version = ask(library.nvmlDeviceGetCudaComputeCapability, handle)
    capability = None if version is None else f"{version[0]}.{version[1]}"
    memory = ask(library.nvmlDeviceGetMemoryInfo, handle)
    cores = positive(library.nvmlDeviceGetNumGpuCores, handle)
    ecc = ask(library.nvmlDeviceGetEccMode, handle)
    bus = ask(library.nvmlDeviceGetPciInfo, handle)
    address = pci_address(bus.busId if bus else None)
    device = Device(
        kind="cuda",
        index=index,
        name=ask(library.nvmlDeviceGetName, handle) or "NVIDIA GPU",
        uuid=ask(library.nvmlDeviceGetUUID, handle),
        nvml_index=index,
        compute_capability=capability,
        sm_count=_sm_count(cores, capability),
        memory_bytes=int(memory.total) if memory else None,
        memory_bus_bits=positive(library.nvmlDeviceGetMemoryBusWidth, handle),
        max_sm_clock_mhz=positive(library.nvmlDeviceGetMaxClockInfo, handle, library.NVML_CLOCK_SM),
        max_memory_clock_mhz=positive(library.nvmlDeviceGetMaxClockInfo, handle, library.NVML_CLOCK_MEM),
        power_limit_w=watts(library.nvmlDeviceGetPowerManagementLimit, handle),
        default_power_limit_w=watts(library.nvmlDeviceGetPowerManagementDefaultLimit, handle),
        ecc=bool(ecc[0]) if ecc else None,
        driver=driver,
        vbios=ask(library.nvmlDeviceGetVbiosVersion, handle) or None,
        pci=address,
        serial=ask(library.nvmlDeviceGetSerial, handle) or None,
        slot=slot_of(address),
        pcie=Board(library, handle).link(),
    )
    return PhysicalGpu(device, cores, _slices(library, handle, device))


def _sm_count(cores: int | None, capability: str | None) -> int | None:
    """NVML counts fp32 lanes. CUDA's own SM count replaces this one where CUDA is there."""
    lanes = None if capability is None else lanes_per_sm(capability)
    return None if cores is None or lanes is None else cores // lanes


def _slices(library: Any, handle: Handle, parent: Device) -> tuple[Device, ...] | None:
    mode = ask(library.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != library.NVML_DEVICE_MIG_ENABLE:
        return None
    slices = []
    for place in range(number(library.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        mig = ask(library.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)
        if mig is not None:
            slices.append(_slice(library, mig, parent))
    return tuple(slices)


def _slice(library: Any, mig: Handle, parent: Device) -> Device:
    attributes = ask(library.nvmlDeviceGetAttributes, mig)
    memory = ask(library.nvmlDeviceGetMemoryInfo, mig)
    name = ask(library.nvmlDeviceGetName, mig) or f"{parent.name} MIG"
    return replace(
        parent,
        name=name,
        uuid=ask(library.nvmlDeviceGetUUID, mig),
        sm_count=int(attributes.multiprocessorCount) if attributes else None,
        memory_bytes=int(memory.total) if memory else None,
        mig=name.partition(" MIG ")[2] or "slice",
        mig_parent=parent.uuid,
    )
