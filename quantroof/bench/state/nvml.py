"""Readings of one GPU through NVML, taken by a thread while cases run; what it does not report is None.

NVML's values lag by tens of milliseconds, so they describe the recent past of a busy device: each state says
how old its oldest reading is. Clock-event reasons are bits, or-ed over the case and masked by whoever asks;
comparing them for equality loses every combination.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from quantroof.hwprofiles.nvml import ask, number

_PERIOD_S = 0.02
_MAX_XIDS = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the device. Clocks in MHz, temperature in C."""

    at_ns: int
    sm_mhz: float | None
    memory_mhz: float | None
    temperature_c: float | None
    reasons: int | None


@dataclass(frozen=True, slots=True)
class Counters:
    """Values that only grow, and the processes on the device."""

    energy_mj: float | None
    ecc_errors: float | None
    processes: int | None


class Nvml:
    """One device behind NVML; every question may answer None."""

    def __init__(self, library: Any, handle: Any) -> None:
        self._nvml, self._handle = library, handle
        self._events = ask(library.nvmlEventSetCreate)
        if self._events is not None:
            kind = library.nvmlEventTypeXidCriticalError
            ask(library.nvmlDeviceRegisterEvents, handle, kind, self._events)

    def xids(self) -> tuple[int, ...]:
        """Critical error codes (XIDs) that the driver reported since the last question."""
        codes: list[int] = []
        while self._events is not None:
            event = ask(self._nvml.nvmlEventSetWait_v2, self._events, 0)  # 0 ms: a time-out is "none"
            if event is None or len(codes) >= _MAX_XIDS:
                break
            codes.append(int(event.eventData))
        return tuple(codes)

    @classmethod
    def open(cls, index: int | None, uuid: str | None = None) -> Nvml | None:
        """The device by UUID, else by physical index; None where NVML is missing or refuses."""
        try:
            import pynvml

            pynvml.nvmlInit()
        except (ImportError, pynvml.NVMLError):
            return None
        if uuid is not None:
            handle = ask(pynvml.nvmlDeviceGetHandleByUUID, uuid)
        else:
            handle = None if index is None else ask(pynvml.nvmlDeviceGetHandleByIndex, index)
        return None if handle is None else cls(pynvml, handle)

    def reading(self) -> Reading:
        """Clocks, temperature and reasons now."""
        n, h = self._nvml, self._handle
        return Reading(
            at_ns=time.monotonic_ns(),
            sm_mhz=number(n.nvmlDeviceGetClockInfo, h, n.NVML_CLOCK_SM),
            memory_mhz=number(n.nvmlDeviceGetClockInfo, h, n.NVML_CLOCK_MEM),
            temperature_c=number(n.nvmlDeviceGetTemperature, h, n.NVML_TEMPERATURE_GPU),
            reasons=number(n.nvmlDeviceGetCurrentClocksEventReasons, h),
        )

    def counters(self, *, processes: bool = False) -> Counters:
        """Total energy, uncorrected memory errors since the driver was loaded; compute processes if asked."""
        n, h = self._nvml, self._handle
        running = ask(n.nvmlDeviceGetComputeRunningProcesses, h) if processes else None
        kinds = (n.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, n.NVML_VOLATILE_ECC)
        return Counters(
            energy_mj=number(n.nvmlDeviceGetTotalEnergyConsumption, h),
            ecc_errors=number(n.nvmlDeviceGetTotalEccErrors, h, *kinds),
            processes=None if running is None else len(running),
        )


class Watch:
    """Reads a device every 20 ms in a thread between `start` and `stop`."""

    def __init__(self, device: Nvml, period_s: float = _PERIOD_S) -> None:
        self._device, self._period_s = device, period_s
        self._readings: list[Reading] = []
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Forget what was read and begin."""
        self._readings = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, args=(self._end,), daemon=True)
        self._thread.start()

    def read(self) -> None:
        """One reading more, now."""
        self._readings.append(self._device.reading())

    def stop(self) -> list[Reading]:
        """End the thread and hand out what was read."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        return self._readings

    def _loop(self, end: threading.Event) -> None:
        while not end.wait(self._period_s):
            self.read()


def middle(values: list[float | None]) -> float | None:
    """The median of what was reported, None where nothing was."""
    known = [value for value in values if value is not None]
    return median(known) if known else None
