"""Monitors of the device's state over one case: their interface, and the monitor of a CPU."""

from __future__ import annotations

from typing import Protocol

import psutil

from quantroof.bench.clock import now_s
from quantroof.bench.timing.timer import NoProbe, Probe
from quantroof.hwprofiles.cgroup import throttled_periods
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import DeviceState


class Monitor(Protocol):
    """Observes one device during one case. `probe` goes into the timer, which calls it around each batch."""

    probe: Probe

    def start(self) -> None:
        """Forget the last case and start monitoring."""

    def stop(self) -> DeviceState:
        """Stop monitoring and return the state over the case; unreported fields are None."""
        ...


def monitor_for(device: Device) -> Monitor:
    """The monitor of a device: NVML and the device's own clock on a GPU, foreign load on a CPU."""
    if device.processor == "cpu":
        return CpuMonitor()
    from quantroof.bench.state.gpu import GpuMonitor

    return GpuMonitor(device)


class CpuMonitor:
    """How many cores other processes and the hypervisor kept busy during a case.

    Foreign load is the main reason why a CPU figure cannot be trusted.
    """

    def __init__(self) -> None:
        self.probe: Probe = NoProbe()
        self._process = psutil.Process()
        self.start()

    def start(self) -> None:
        """Remember the counters."""
        self._begin, self._throttled = self._counters(), throttled_periods()

    def stop(self) -> DeviceState:
        """The load since the start, and what a quota did."""
        wall, own, busy = (end - begin for begin, end in zip(self._begin, self._counters(), strict=True))
        throttled = throttled_periods()
        return DeviceState(
            other_load_cores=max(0.0, busy - own) / wall if wall > 0 else None,
            throttled_periods=None if throttled is None else throttled - (self._throttled or 0),
        )

    def _counters(self) -> tuple[float, float, float]:
        """Seconds of wall time, of this process, and of all busy cores (stolen time included)."""
        own = self._process.cpu_times()
        total = psutil.cpu_times()
        parts = ("user", "nice", "system", "irq", "softirq", "steal")
        busy = sum(getattr(total, part, 0.0) for part in parts)
        return now_s(), own.user + own.system, busy
