"""Eager calls on a GPU: behind a spin kernel where nothing can be captured, or with the launch in view."""

from __future__ import annotations

import time
from itertools import cycle

import torch

from quantroof.bench.timing.cuda_stream import nanoseconds, new_event, own_stream, spin, warm_up
from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import Call, Probe
from quantroof.records.lines import Method

_BLOCK_NS = 1_000_000
_MAX_QUEUED = 100  # the driver holds about a thousand launches, and a call may launch several kernels
_EAGER_BLOCK_NS = 10_000_000


class QueuedCalls:
    """Events around blocks of eager calls behind a spin kernel, for providers that cannot be captured."""

    method: Method = "cuda-events"

    def __init__(self, call: Call, copies: Copies, probe: Probe) -> None:
        self._call, self._sets = call, cycle(copies.sets)
        self._probe, self._stream = probe, own_stream()
        estimate_ns = warm_up(call, copies, self._stream)
        self.calls_per_sample = max(1, min(_MAX_QUEUED, int(_BLOCK_NS / max(1.0, estimate_ns))))

    def samples(self) -> list[float]:
        """One block."""
        begin, end = new_event(), new_event()
        with torch.cuda.stream(self._stream):
            spin()
            self._probe.begin()
            begin.record()
            for _ in range(self.calls_per_sample):
                self._call(*next(self._sets))
            end.record()
            self._probe.end()
        self._probe.busy()
        return nanoseconds([begin, end], self.calls_per_sample)

    def finish(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()


class EagerCalls:
    """Wall time of eager calls back to back: what a program without graphs pays, launches included."""

    method: Method = "cuda-eager"

    def __init__(self, call: Call, copies: Copies, probe: Probe) -> None:
        self._call, self._sets, self._probe = call, cycle(copies.sets), probe
        estimate_ns = warm_up(call, copies, own_stream())
        self.calls_per_sample = max(10, int(_EAGER_BLOCK_NS / max(1.0, estimate_ns)))

    def samples(self) -> list[float]:
        """One block, from the first launch to the device's end."""
        torch.cuda.synchronize()
        self._probe.begin()
        start = time.perf_counter_ns()
        for _ in range(self.calls_per_sample):
            self._call(*next(self._sets))
        self._probe.busy()
        torch.cuda.synchronize()
        elapsed = time.perf_counter_ns() - start
        self._probe.end()
        return [elapsed / self.calls_per_sample]

    def finish(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()
