"""The sampling loop: time blocks until the stopping rule says why to end."""

from __future__ import annotations

import time
from collections.abc import Callable

from quantroof.bench.timing.stopping import StoppingRule
from quantroof.bench.timing.timer import Timer
from quantroof.records.lines import StoppedBy


def sample(
    timer: Timer, rule: StoppingRule, clock_s: Callable[[], float] = time.perf_counter
) -> tuple[tuple[float, ...], StoppedBy]:
    """Nanoseconds per call of every block in order, none removed, and what ended the sampling."""
    samples: list[float] = []
    start = clock_s()
    while True:
        samples += timer.samples()
        if reason := rule.verdict(samples, clock_s() - start):
            return tuple(samples), reason
