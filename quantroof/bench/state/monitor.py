"""The device's state while a case runs: clocks, temperature, power, clock-event reasons, with their age.

NVML's readings lag by tens of milliseconds, so they describe the recent past of a busy device: the monitor
reads while work is queued, and says how old its oldest reading is.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import psutil

from quantroof.hwprofiles.types import Device
from quantroof.records.lines import DeviceState


class Monitor(Protocol):
    """Watches one device during one case."""

    def start(self) -> None:
        """Forget the last case."""

    def read(self) -> None:
        """Take a reading now; called while the device is busy."""

    def stop(self) -> DeviceState | None:
        """The state over the case, or None where nothing can be read."""
        ...


class NoMonitor:
    """A device that reports nothing of its state."""

    def start(self) -> None:
        """Nothing to forget."""

    def read(self) -> None:
        """Nothing to read."""

    def stop(self) -> None:
        """Nothing is known."""


class CpuMonitor:
    """What others did on the host's cores meanwhile: the main reason why a CPU figure cannot be trusted."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.start()

    def start(self) -> None:
        """Remember the counters."""
        self._begin = self._counters()

    def read(self) -> None:
        """The counters are cumulative: nothing to do in between."""

    def stop(self) -> DeviceState:
        """Cores' worth of time that other processes, and the hypervisor, took since the start."""
        wall, own, busy = (end - begin for begin, end in zip(self._begin, self._counters(), strict=True))
        return DeviceState(other_load_cores=max(0.0, busy - own) / wall if wall > 0 else None)

    def _counters(self) -> tuple[float, float, float]:
        """Seconds of wall time, of this process, and of all cores busy (stolen time included)."""
        own = self._process.cpu_times()
        total = psutil.cpu_times()
        stolen = getattr(total, "steal", 0.0)
        busy = total.user + total.system + getattr(total, "nice", 0.0) + getattr(total, "irq", 0.0) + stolen
        return time.perf_counter(), own.user + own.system, busy


class NvmlMonitor:
    """Readings of one GPU through NVML. What NVML does not report stays None."""

    def __init__(self, handle: Any, nvml: Any) -> None:
        self._handle, self._nvml = handle, nvml
        self._readings: list[dict[str, float | None]] = []
        self._reasons: int | None = None
        self._first_read_ns: int | None = None

    def start(self) -> None:
        """Forget the last case."""
        self._readings, self._reasons, self._first_read_ns = [], None, None

    def read(self) -> None:
        """One reading of clocks, temperature and power; reasons are or-ed over the case."""
        nvml, handle = self._nvml, self._handle
        if self._first_read_ns is None:
            self._first_read_ns = time.monotonic_ns()
        self._readings.append(
            {
                "sm": self._ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
                "memory": self._ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
                "temperature": self._ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            }
        )
        reasons = self._ask(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if reasons is not None:
            self._reasons = (self._reasons or 0) | int(reasons)

    def stop(self) -> DeviceState | None:
        """Medians over the readings of the case."""
        if not self._readings or self._first_read_ns is None:
            return None
        clock = _median([r["sm"] for r in self._readings])
        return DeviceState(
            sm_clock_mhz=clock,
            sm_clock_source=None if clock is None else "nvml",
            memory_clock_mhz=_median([r["memory"] for r in self._readings]),
            temperature_c=_median([r["temperature"] for r in self._readings]),
            reasons=self._reasons,
            age_ms=(time.monotonic_ns() - self._first_read_ns) / 1e6,
        )

    def _ask(self, function: Any, *arguments: Any) -> float | None:
        try:
            return float(function(*arguments))
        except self._nvml.NVMLError:
            return None


def monitor_for(device: Device) -> Monitor:
    """The monitor of a device; one that reports nothing where NVML is missing or refuses."""
    if device.kind == "cpu":
        return CpuMonitor()
    if device.kind != "cuda" or device.nvml_index is None:
        return NoMonitor()
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(device.nvml_index)
    except pynvml.NVMLError:
        return NoMonitor()
    return NvmlMonitor(handle, pynvml)


def _median(values: list[float | None]) -> float | None:
    from statistics import median

    known = [v for v in values if v is not None]
    return median(known) if known else None
