"""Eager calls on a GPU: behind a spin kernel where nothing can be captured, or with launch overhead."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import torch

from quantroof.bench.clock import now_ns
from quantroof.bench.timing.cuda_stream import (
    BATCH_NS,
    QueueWatch,
    nanoseconds,
    new_event,
    output_of,
    own_stream,
    spin,
    spin_cycles,
    warm_up,
)
from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import Call, Probe
from quantroof.records.lines import Flag, Method

_BLOCK_NS = 1_000_000
_MAX_QUEUED = 100  # the driver holds about a thousand launches, and a call may launch several kernels
_EAGER_BLOCK_NS = 10_000_000
_EAGER_CALLS = 10  # at least, unless they take longer than a batch may


class QueuedCalls:
    """Events around blocks of eager calls behind a spin kernel, for providers that cannot be captured."""

    method: Method = "cuda-events"

    def __init__(self, call: Call, copies: Copies, probe: Probe) -> None:
        self._call, self._sets, self.copies = call, cycle(copies.sets), copies
        self._probe, self._stream, self._watch = probe, own_stream(), QueueWatch()
        estimate_ns = warm_up(call, copies, self._stream)
        self.calls_per_sample = max(1, min(_MAX_QUEUED, int(_BLOCK_NS / max(1.0, estimate_ns))))
        self.batch_s = self.calls_per_sample * estimate_ns / 1e9
        self._cycles = spin_cycles(self._host_ns())

    def samples(self) -> list[float]:
        """One block."""
        begin, end = new_event(), new_event()
        with torch.cuda.stream(self._stream):
            spin(self._cycles)
            self._probe.begin()
            begin.record()
            for _ in range(self.calls_per_sample):
                self._call(*next(self._sets))
            end.record()
            self._probe.end()
        self._watch.queued(begin)
        self._probe.busy()
        return nanoseconds([begin, end], self.calls_per_sample)

    def finish(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()

    def output(self, refresh: Callable[[tuple[Any, ...]], None]) -> Any:
        """What one call returns for a weight set that `refresh` has written into."""
        return output_of(self._call, next(self._sets), refresh)

    def flags(self) -> tuple[Flag, ...]:
        """Whether the host kept up with the device."""
        return self._watch.flags()

    def _host_ns(self) -> float:
        """Nanoseconds that the host takes to queue a block."""
        with torch.cuda.stream(self._stream):
            spin()
            start = now_ns()
            for _ in range(self.calls_per_sample):
                self._call(*next(self._sets))
            elapsed_ns = now_ns() - start
        torch.cuda.synchronize()
        return elapsed_ns


class EagerCalls:
    """Wall time of eager calls back to back: what a program without graphs pays, launches included."""

    method: Method = "cuda-eager"

    def __init__(self, call: Call, copies: Copies, probe: Probe) -> None:
        self._call, self._sets, self._probe, self.copies = call, cycle(copies.sets), probe, copies
        estimate_ns = max(1.0, warm_up(call, copies, own_stream()))
        least = max(1, min(_EAGER_CALLS, int(BATCH_NS / estimate_ns)))
        self.calls_per_sample = max(least, int(_EAGER_BLOCK_NS / estimate_ns))
        self.batch_s = self.calls_per_sample * estimate_ns / 1e9

    def samples(self) -> list[float]:
        """One block, from the first launch to the device's end."""
        torch.cuda.synchronize()
        self._probe.begin()
        start = now_ns()
        for _ in range(self.calls_per_sample):
            self._call(*next(self._sets))
        torch.cuda.synchronize()
        elapsed = now_ns() - start
        self._probe.end()
        self._probe.busy()  # reading NVML takes the host longer than a launch: not within the sample
        return [elapsed / self.calls_per_sample]

    def finish(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()

    def output(self, refresh: Callable[[tuple[Any, ...]], None]) -> Any:
        """What one call returns for a weight set that `refresh` has written into."""
        return output_of(self._call, next(self._sets), refresh)

    def flags(self) -> tuple[Flag, ...]:
        """Launches are what is measured here."""
        return ()
