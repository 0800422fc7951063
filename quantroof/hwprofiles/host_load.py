"""How busy the host is right now: cores, memory, and the quota of this process's control groups."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from quantroof.hwprofiles.cgroup import cpu_quota

_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")


@dataclass(frozen=True, slots=True)
class HostLoad:
    """`busy_cores` is what all processes and the hypervisor took over a moment in which this one slept.

    `memory_stall` is the share of time in which some process waited for memory (Linux pressure, 10 s).
    """

    cores: int
    busy_cores: float
    load_average: float | None = None
    memory_free_share: float | None = None
    memory_stall: float | None = None
    quota_cores: float | None = None


def host_load(seconds: float = 0.5, root: Path = Path("/")) -> HostLoad:
    """Measure for a moment."""
    import psutil

    begin, started = _busy_seconds(), time.perf_counter()
    time.sleep(seconds)
    busy = (_busy_seconds() - begin) / (time.perf_counter() - started)
    memory = psutil.virtual_memory()
    return HostLoad(
        cores=os.cpu_count() or 1,
        busy_cores=max(0.0, busy),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        memory_free_share=memory.available / memory.total if memory.total else None,
        memory_stall=_stall(root / "proc/pressure/memory"),
        quota_cores=cpu_quota(root),
    )


def _busy_seconds() -> float:
    import psutil

    total = psutil.cpu_times()
    return float(sum(getattr(total, part, 0.0) for part in _BUSY))


def _stall(file: Path) -> float | None:
    """`some avg10=1.23 ...` as a share; None where the kernel does not report it."""
    try:
        first = file.read_text().split("\n", 1)[0]
        return float(first.partition("avg10=")[2].partition(" ")[0]) / 100
    except (OSError, ValueError):
        return None
