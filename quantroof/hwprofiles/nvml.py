"""NVIDIA GPUs by NVML: identity and limits. What a driver does not report is None, never zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from quantroof.hwprofiles.compute import lanes_per_sm
from quantroof.hwprofiles.types import Device, PcieLink

# NVML's "value not available": all bits set, in the width of the field.
_SENTINELS = frozenset({-1, 2**32 - 1, 2**64 - 1})

Handle = Any
T = TypeVar("T")


class NvmlUnavailable(Exception):
    """NVML cannot be used here; the text is a plain sentence for people."""


@dataclass(frozen=True, slots=True)
class PhysicalGpu:
    """One board, with its MIG slices where MIG is on. `index` of a device is NVML's until it is resolved."""

    device: Device
    cores: int | None
    slices: tuple[Device, ...] | None = None
    """None with MIG off; empty where MIG is on and nobody made a slice."""


@contextmanager
def session() -> Iterator[Any]:
    """The initialised library; NvmlUnavailable with a sentence where there is none."""
    try:
        import pynvml
    except ImportError:
        raise NvmlUnavailable("no NVML binding: the package nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NvmlUnavailable(_sentence(pynvml, error)) from None
    try:
        yield pynvml
    finally:
        ask(pynvml.nvmlShutdown)


def _sentence(library: Any, error: Exception) -> str:
    known = {
        library.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver (libnvidia-ml.so.1 not found)",
        library.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is there but not loaded (see nvidia-smi)",
        library.NVML_ERROR_NO_PERMISSION: "no permission to use the NVIDIA driver (/dev/nvidia*)",
        library.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
            "the NVIDIA driver and its library differ in version (the driver was updated: reboot)"
        ),
    }
    return known.get(getattr(error, "value", None), f"NVML refused to start: {error}")


def ask(question: Callable[..., T], *arguments: Any) -> T | None:
    """What NVML answers, None for every way of not answering (not supported, no permission, old driver)."""
    from pynvml import NVMLError

    try:
        return question(*arguments)
    except NVMLError:
        return None


def number(question: Callable[..., int], *arguments: Any) -> int | None:
    """A count or rate: sentinels and negative values are None."""
    value = ask(question, *arguments)
    return None if value is None or value < 0 or value in _SENTINELS else int(value)


def positive(question: Callable[..., int], *arguments: Any) -> int | None:
    """A quantity that no working device has none of: zero is None, too."""
    return number(question, *arguments) or None


def gpus(library: Any) -> tuple[PhysicalGpu, ...]:
    """Every GPU that NVML lists, in its order (PCI bus)."""
    driver = ask(library.nvmlSystemGetDriverVersion)
    count = number(library.nvmlDeviceGetCount) or 0
    found = []
    for index in range(count):
        handle = ask(library.nvmlDeviceGetHandleByIndex, index)
        if handle is not None:  # a GPU that fell off the bus is counted and has no handle
            found.append(_gpu(library, handle, index, driver))
    return tuple(found)


def _gpu(library: Any, handle: Handle, index: int, driver: str | None) -> PhysicalGpu:
    version = ask(library.nvmlDeviceGetCudaComputeCapability, handle)
    capability = None if version is None else f"{version[0]}.{version[1]}"
    memory = ask(library.nvmlDeviceGetMemoryInfo, handle)
    cores = positive(library.nvmlDeviceGetNumGpuCores, handle)
    ecc = ask(library.nvmlDeviceGetEccMode, handle)
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
        power_limit_w=_watts(library.nvmlDeviceGetPowerManagementLimit, handle),
        default_power_limit_w=_watts(library.nvmlDeviceGetPowerManagementDefaultLimit, handle),
        ecc=bool(ecc[0]) if ecc else None,
        driver=driver,
        vbios=ask(library.nvmlDeviceGetVbiosVersion, handle) or None,
        pcie=pcie_link(library, handle),
    )
    return PhysicalGpu(device, cores, _slices(library, handle, device))


def _sm_count(cores: int | None, capability: str | None) -> int | None:
    """NVML counts fp32 lanes; CUDA's own count replaces this where CUDA answers."""
    lanes = None if capability is None else lanes_per_sm(capability)
    return None if cores is None or lanes is None else cores // lanes


def _watts(question: Callable[..., int], handle: Handle) -> float | None:
    milliwatts = positive(question, handle)
    return None if milliwatts is None else milliwatts / 1000


def pcie_link(library: Any, handle: Handle) -> PcieLink | None:
    """The PCIe link of a GPU at this moment; None where nothing of it is reported."""
    link = PcieLink(
        generation=positive(library.nvmlDeviceGetCurrPcieLinkGeneration, handle),
        width=positive(library.nvmlDeviceGetCurrPcieLinkWidth, handle),
        max_generation=positive(library.nvmlDeviceGetMaxPcieLinkGeneration, handle),
        max_width=positive(library.nvmlDeviceGetMaxPcieLinkWidth, handle),
    )
    return None if link == PcieLink() else link


def _slices(library: Any, handle: Handle, parent: Device) -> tuple[Device, ...] | None:
    mode = ask(library.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != library.NVML_DEVICE_MIG_ENABLE:
        return None
    found = []
    for place in range(number(library.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        mig = ask(library.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)
        if mig is not None:
            found.append(_slice(library, mig, parent))
    return tuple(found)


def _slice(library: Any, mig: Handle, parent: Device) -> Device:
    from msgspec.structs import replace

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
