"""Timers: what turns a call and its rotated weights into nanoseconds a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle
from typing import Any, Protocol

from quantroof.bench.timing.rotation import Copies
from quantroof.records.lines import Method

Call = Callable[..., Any]

CPU_BLOCK_NS = 10_000_000  # a block this long hides the clock's resolution and one scheduler tick


class Timer(Protocol):
    """Times blocks of calls; each block uses the next weight sets in turn."""

    method: Method
    calls_per_sample: int

    def samples(self) -> list[float]:
        """Time the next block or blocks: nanoseconds per call of each."""
        ...


class CpuBlocks:
    """perf_counter around blocks of at least 10 ms of calls."""

    method: Method = "cpu-blocks"

    def __init__(self, call: Call, copies: Copies, block_ns: int = CPU_BLOCK_NS) -> None:
        self._call = call
        self._sets = cycle(copies.sets)
        self.calls_per_sample = 1
        self._block()  # the first call builds library plans and is no sample
        while (elapsed := self._block()) < block_ns:
            self.calls_per_sample *= 1 + max(1, min(9, int(block_ns / max(elapsed, 1))))

    def samples(self) -> list[float]:
        """One block."""
        return [self._block() / self.calls_per_sample]

    def _block(self) -> int:
        call, sets = self._call, self._sets
        start = time.perf_counter_ns()
        for _ in range(self.calls_per_sample):
            call(*next(sets))
        return time.perf_counter_ns() - start
