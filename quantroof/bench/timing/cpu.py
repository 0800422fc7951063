"""CPU blocks: perf_counter around at least 10 ms of calls."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

from quantroof.bench.clock import now_ns
from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import Call
from quantroof.records.lines import Flag, Method

BLOCK_NS = 10_000_000  # long enough to hide the clock's resolution and one scheduler tick


class CpuBlocks:
    """perf_counter around blocks of at least `block_ns` of calls."""

    method: Method = "cpu-blocks"

    def __init__(self, call: Call, copies: Copies, block_ns: int = BLOCK_NS) -> None:
        self._call, self.copies = call, copies
        self._sets = cycle(copies.sets)
        self.calls_per_sample = 1
        self._block()  # the first call builds library plans and is not a sample
        while (elapsed := self._block()) < block_ns:
            self.calls_per_sample *= 1 + max(1, min(9, int(block_ns / max(elapsed, 1))))
        self.batch_s = elapsed / 1e9

    def samples(self) -> list[float]:
        """One block."""
        return [self._block() / self.calls_per_sample]

    def finish(self) -> None:
        """A CPU has nothing queued."""

    def output(self, refresh: Callable[[tuple[Any, ...]], None]) -> Any:
        """What one call returns for a weight set that `refresh` has written into."""
        weights = next(self._sets)
        refresh(weights)
        return self._call(*weights)

    def sample_with_output(self, refresh: Callable[[tuple[Any, ...]], None]) -> tuple[float, Any]:
        """One timed call for a weight set that `refresh` has written into: its nanoseconds and its output."""
        weights = next(self._sets)
        refresh(weights)
        start = now_ns()
        output = self._call(*weights)
        return _advanced(now_ns() - start, 1), output

    def flags(self) -> tuple[Flag, ...]:
        """A CPU's blocks have no queue to run dry."""
        return ()

    def _block(self) -> int:
        call, sets = self._call, self._sets
        start = now_ns()
        for _ in range(self.calls_per_sample):
            call(*next(sets))
        return _advanced(now_ns() - start, self.calls_per_sample)


def _advanced(elapsed_ns: int, calls: int) -> int:
    if elapsed_ns <= 0:
        raise RuntimeError(f"the clock does not advance: {elapsed_ns} ns over {calls} calls")
    return elapsed_ns
