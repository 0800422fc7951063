"""What others did on the host's cores meanwhile: the main reason why a CPU figure cannot be trusted."""

from __future__ import annotations

import time

import psutil

from quantroof.bench.timing.timer import NoProbe, Probe
from quantroof.records.lines import DeviceState


class CpuMonitor:
    """Cores' worth of time that other processes, and the hypervisor, took during a case."""

    def __init__(self) -> None:
        self.probe: Probe = NoProbe()
        self._process = psutil.Process()
        self.start()

    def start(self) -> None:
        """Remember the counters."""
        self._begin = self._counters()

    def stop(self) -> DeviceState:
        """What the counters say since the start."""
        wall, own, busy = (end - begin for begin, end in zip(self._begin, self._counters(), strict=True))
        return DeviceState(other_load_cores=max(0.0, busy - own) / wall if wall > 0 else None)

    def _counters(self) -> tuple[float, float, float]:
        """Seconds of wall time, of this process, and of all cores busy (stolen time included)."""
        own = self._process.cpu_times()
        total = psutil.cpu_times()
        parts = ("user", "nice", "system", "irq", "softirq", "steal")
        busy = sum(getattr(total, part, 0.0) for part in parts)
        return time.perf_counter(), own.user + own.system, busy
