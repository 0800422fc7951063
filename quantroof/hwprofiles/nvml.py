"""NVML, the driver's management library: started once per process; a Board is one GPU.

What a driver does not report is None, never zero. Values lag by tens of milliseconds, so a reading describes
the recent past of a busy GPU.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import msgspec

from quantroof.hwprofiles.types import Device, PcieLink

# NVML's "value not available": all bits set, in the width of the field.
_SENTINELS = frozenset({-1, 2**32 - 1, 2**64 - 1})
_MAX_XIDS = 16

Handle = Any
T = TypeVar("T")


class NvmlUnavailable(Exception):
    """NVML cannot be used here; the text is a plain sentence for people.

    `broken` is True for a driver that is installed and does not start.
    """

    def __init__(self, sentence: str, *, broken: bool = False) -> None:
        super().__init__(sentence)
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Reading:
    """Clocks (MHz), temperature (C) and clock-event bits at one moment of the monotonic clock."""

    at_ns: int
    sm_mhz: float | None
    memory_mhz: float | None
    temperature_c: float | None
    reasons: int | None


@dataclass(frozen=True, slots=True)
class Counters:
    """Values that only grow, and the number of compute processes on the GPU."""

    energy_mj: float | None
    ecc_errors: float | None
    processes: int | None


class BoardHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The condition of a board at one moment. `reasons` are clock-event bits, memory is in bytes."""

    sm_clock_mhz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    reasons: int | None = None
    memory_used_bytes: int | None = None
    process_ids: tuple[int, ...] | None = None
    persistence: bool | None = None
    uncorrected_ecc_errors: int | None = None
    rows_pending: bool | None = None
    rows_failed: bool | None = None
    energy_counter: bool = False


class Board:
    """One GPU behind NVML; every method may return None for what the driver does not report."""

    def __init__(self, library: Any, handle: Handle) -> None:
        self._nvml, self._handle = library, handle

    @classmethod
    def of(cls, device: Device) -> Board | None:
        """The GPU of a device, for a MIG slice its whole GPU; None for any other device and without NVML."""
        if device.kind != "cuda":
            return None
        return cls.open(device.mig_parent or device.uuid, device.nvml_index)

    @classmethod
    def open(cls, uuid: str | None, index: int | None = None) -> Board | None:
        """The GPU or MIG slice with a UUID, else the GPU with a physical index; None if neither exists."""
        try:
            library = nvml_library()
        except NvmlUnavailable:
            return None
        handle = ask(library.nvmlDeviceGetHandleByUUID, uuid) if uuid else None
        if handle is None and index is not None:
            handle = ask(library.nvmlDeviceGetHandleByIndex, index)
        return None if handle is None else cls(library, handle)

    def reading(self) -> Reading:
        """Clocks, temperature and clock-event bits now: five calls, cheap enough for every 20 ms."""
        n = self._nvml
        return Reading(
            at_ns=time.monotonic_ns(),
            sm_mhz=self._number(n.nvmlDeviceGetClockInfo, n.NVML_CLOCK_SM),
            memory_mhz=self._number(n.nvmlDeviceGetClockInfo, n.NVML_CLOCK_MEM),
            temperature_c=self._number(n.nvmlDeviceGetTemperature, n.NVML_TEMPERATURE_GPU),
            reasons=self._reasons(),
        )

    def counters(self, *, processes: bool = False) -> Counters:
        """Total energy and uncorrected memory errors since the driver was loaded; the processes if asked."""
        running = self._ask(self._nvml.nvmlDeviceGetComputeRunningProcesses) if processes else None
        return Counters(
            energy_mj=self._number(self._nvml.nvmlDeviceGetTotalEnergyConsumption),
            ecc_errors=self._ecc_errors(),
            processes=None if running is None else len(running),
        )

    def health(self) -> BoardHealth:
        """Everything that shows whether the board is fit to be measured."""
        n = self._nvml
        memory = self._ask(n.nvmlDeviceGetMemoryInfo)
        processes = self._ask(n.nvmlDeviceGetComputeRunningProcesses)
        rows = self._ask(n.nvmlDeviceGetRemappedRows)
        persistence = self._ask(n.nvmlDeviceGetPersistenceMode)
        return BoardHealth(
            sm_clock_mhz=positive(n.nvmlDeviceGetClockInfo, self._handle, n.NVML_CLOCK_SM),
            temperature_c=positive(n.nvmlDeviceGetTemperature, self._handle, n.NVML_TEMPERATURE_GPU),
            power_w=watts(n.nvmlDeviceGetPowerUsage, self._handle),
            reasons=self._reasons(),
            memory_used_bytes=int(memory.used) if memory else None,
            process_ids=None if processes is None else tuple(int(p.pid) for p in processes),
            persistence=None if persistence is None else bool(persistence),
            uncorrected_ecc_errors=self._ecc_errors(),
            rows_pending=None if rows is None else bool(rows[2]),
            rows_failed=None if rows is None else bool(rows[3]),
            energy_counter=bool(self._number(n.nvmlDeviceGetTotalEnergyConsumption)),
        )

    def link(self) -> PcieLink | None:
        """The PCIe link now; None if nothing of it is reported."""
        link = PcieLink(
            generation=positive(self._nvml.nvmlDeviceGetCurrPcieLinkGeneration, self._handle),
            width=positive(self._nvml.nvmlDeviceGetCurrPcieLinkWidth, self._handle),
            max_generation=positive(self._nvml.nvmlDeviceGetMaxPcieLinkGeneration, self._handle),
            max_width=positive(self._nvml.nvmlDeviceGetMaxPcieLinkWidth, self._handle),
        )
        return None if link == PcieLink() else link

    def xids(self) -> tuple[int, ...]:
        """Critical error codes (XIDs) reported since the last call; the first call subscribes to them."""
        codes: list[int] = []
        while self._events is not None and len(codes) < _MAX_XIDS:
            event = ask(self._nvml.nvmlEventSetWait_v2, self._events, 0)  # 0 ms: a time-out means "none"
            if event is None:
                break
            codes.append(int(event.eventData))
        return tuple(codes)

    @cached_property
    def _events(self) -> Any:
        events = ask(self._nvml.nvmlEventSetCreate)
        if events is not None:
            kind = self._nvml.nvmlEventTypeXidCriticalError
            ask(self._nvml.nvmlDeviceRegisterEvents, self._handle, kind, events)
        return events

    def _reasons(self) -> int | None:
        """Clock-event bits; drivers before R535 have them under an older name, which a binding may drop."""
        bits = self._number(self._nvml.nvmlDeviceGetCurrentClocksEventReasons)
        older = getattr(self._nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None)
        return self._number(older) if bits is None and older is not None else bits

    def _ecc_errors(self) -> int | None:
        kinds = (self._nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, self._nvml.NVML_VOLATILE_ECC)
        return self._number(self._nvml.nvmlDeviceGetTotalEccErrors, *kinds)

    def _ask(self, question: Callable[..., T]) -> T | None:
        return ask(question, self._handle)

    def _number(self, question: Callable[..., int], *arguments: Any) -> int | None:
        return number(question, self._handle, *arguments)


_OTHER_PACKAGE = "the NVML binding lacks functions: another package named pynvml hides nvidia-ml-py"
_FUNCTIONS = """
    DeviceGetAttributes DeviceGetClockInfo DeviceGetComputeRunningProcesses DeviceGetCount
    DeviceGetCudaComputeCapability DeviceGetCurrPcieLinkGeneration DeviceGetCurrPcieLinkWidth
    DeviceGetCurrentClocksEventReasons DeviceGetEccMode DeviceGetHandleByIndex DeviceGetHandleByUUID
    DeviceGetMaxClockInfo DeviceGetMaxMigDeviceCount
    DeviceGetMaxPcieLinkGeneration DeviceGetMaxPcieLinkWidth DeviceGetMemoryBusWidth DeviceGetMemoryInfo
    DeviceGetMigDeviceHandleByIndex DeviceGetMigMode DeviceGetName DeviceGetNumGpuCores DeviceGetPciInfo
    DeviceGetPersistenceMode DeviceGetPowerManagementDefaultLimit DeviceGetPowerManagementLimit
    DeviceGetPowerUsage DeviceGetRemappedRows DeviceGetSerial DeviceGetTemperature
    DeviceGetTotalEccErrors DeviceGetTotalEnergyConsumption DeviceGetUUID DeviceGetVbiosVersion
    DeviceRegisterEvents EventSetCreate EventSetWait_v2 EventTypeXidCriticalError SystemGetDriverVersion
"""
"""Every function of NVML that is called here and beside it, without its `nvml`."""


@lru_cache(maxsize=1)
def nvml_library() -> Any:
    """The initialized binding, shut down when the process ends; NvmlUnavailable with a sentence otherwise.

    Initialized once, because the driver unloads its state at the last shutdown where persistence mode is off.
    """
    try:
        import pynvml
    except ImportError:
        raise NvmlUnavailable("no NVML binding: the package nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        broken = getattr(error, "value", None) != pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
        raise NvmlUnavailable(_sentence(pynvml, error), broken=broken) from None
    except AttributeError:
        raise NvmlUnavailable(_OTHER_PACKAGE, broken=True) from None
    atexit.register(ask, pynvml.nvmlShutdown)
    if any(not hasattr(pynvml, f"nvml{name}") for name in _FUNCTIONS.split()):
        raise NvmlUnavailable(_OTHER_PACKAGE, broken=True)
    return pynvml


def _sentence(library: Any, error: Exception) -> str:
    sentences = {
        library.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver (libnvidia-ml.so.1 not found)",
        library.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is there but not loaded (see nvidia-smi)",
        library.NVML_ERROR_NO_PERMISSION: "no permission to use the NVIDIA driver (/dev/nvidia*)",
        library.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
            "the NVIDIA driver and its library differ in version (the driver was updated: reboot)"
        ),
    }
    return sentences.get(getattr(error, "value", None), f"NVML refused to start: {error}")


def ask(question: Callable[..., T], *arguments: Any) -> T | None:
    """NVML's answer; None without one (not supported, no permission, old driver, text that is not UTF-8)."""
    from pynvml import NVMLError

    try:
        return question(*arguments)
    except (NVMLError, UnicodeDecodeError):
        return None


def dead(library: Any, index: int) -> str | None:
    """What NVML says of a GPU that needs more than a new question, such as `GPU is lost`; else None."""
    try:
        library.nvmlDeviceGetMemoryInfo(library.nvmlDeviceGetHandleByIndex(index))
    except library.NVMLError as error:
        fatal = (
            library.NVML_ERROR_INSUFFICIENT_POWER,
            library.NVML_ERROR_IRQ_ISSUE,
            library.NVML_ERROR_GPU_IS_LOST,
            library.NVML_ERROR_RESET_REQUIRED,
        )
        return str(error) if error.value in fatal else None
    return None


def number(question: Callable[..., int], *arguments: Any) -> int | None:
    """A count or rate: sentinels and negative values are None."""
    value = ask(question, *arguments)
    return None if value is None or value < 0 or value in _SENTINELS else int(value)


def positive(question: Callable[..., int], *arguments: Any) -> int | None:
    """A quantity that is never zero on a working device: zero is None, too."""
    return number(question, *arguments) or None


def watts(question: Callable[..., int], handle: Handle) -> float | None:
    """A power that NVML reports in milliwatts."""
    milliwatts = positive(question, handle)
    return None if milliwatts is None else milliwatts / 1000
