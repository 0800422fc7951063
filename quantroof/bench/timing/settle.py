"""Bring a device to the state a mode measures: clocks up for a burst, power settled for sustained."""

from __future__ import annotations

import time
from collections.abc import Callable

from quantroof.bench.timing.timer import Timer
from quantroof.records.run import Mode

# An idle GPU needs tens of milliseconds of load to leave its lowest clock; under load, power and clocks
# oscillate for about 3 s before they settle (CUTLASS's measurement guidelines; seen on an H200 too).
GPU_SETTLE_S: dict[Mode, float] = {"burst": 0.05, "sustained": 3.0}
CPU_SETTLE_S: dict[Mode, float] = {"burst": 0.0, "sustained": 1.0}


def settle(timer: Timer, seconds: float, clock_s: Callable[[], float] = time.perf_counter) -> None:
    """Run the case itself, unrecorded, for this long."""
    start = clock_s()
    while clock_s() - start < seconds:
        timer.samples()
