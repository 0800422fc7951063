"""CPU blocks: perf_counter around at least 10 ms of calls."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

from quantroof.bench.clock import now_ns
from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import Call, Refresh
from quantroof.records.lines import Flag, Method

BLOCK_NS = 10_000_000  # long enough to hide the clock's resolution and one scheduler tick


class CpuBlocks:
    """perf_counter around blocks of at least `block_ns` of calls."""

    method: Method = "cpu-blocks"

    def __init__(self, call: Call, copies: Copies, block_ns: int = BLOCK_NS) -> None:
        self._call, self.copies = call, copies
        self._sets = cycle(copies.sets)
        self._refresh: Refresh | None = None
        self._output: Any = None
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

    def refresh_next(self, refresh: Refresh) -> None:
        """Write into the weight set of the next block's last call before that call, and keep its output.

        To the kernel, the calls of that block are like those of any other.
        """
        self._refresh = refresh

    def take_output(self) -> Any:
        """What the last call of that block returned."""
        output, self._output = self._output, None
        return output

    def output(self, refresh: Refresh) -> Any:
        """What the last call of a block returns for a weight set that `refresh` has written into."""
        self.refresh_next(refresh)
        self.samples()
        return self.take_output()

    def flags(self) -> tuple[Flag, ...]:
        """A CPU's blocks have no queue to run dry."""
        return ()

    def _block(self) -> int:
        call, (*sets, last) = self._call, islice(self._sets, self.calls_per_sample)
        refresh, self._refresh = self._refresh, None
        start = now_ns()
        for weights in sets:
            call(*weights)
        if refresh is not None:
            paused = now_ns()
            refresh(last)
            start += now_ns() - paused
        output = call(*last)
        elapsed_ns = now_ns() - start
        if refresh is not None:
            self._output = output
        return _advanced(elapsed_ns, self.calls_per_sample)


def _advanced(elapsed_ns: int, calls: int) -> int:
    if elapsed_ns <= 0:
        raise RuntimeError(f"the clock does not advance: {elapsed_ns} ns over {calls} calls")
    return elapsed_ns
