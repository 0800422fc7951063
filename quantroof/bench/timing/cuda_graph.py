"""CUDA timers: replays of a graph between device events, or events behind a spin kernel where none can be.

An event pair around one launch reads 10 us too much on a 13 us kernel. So a graph holds enough calls for a
replay of a millisecond, and several replays are queued behind a spin kernel: the host has finished queueing
before the first of them starts, and no launch gap enters a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, pairwise

import torch

from quantroof.bench.timing.cpu import Call
from quantroof.bench.timing.rotation import Copies
from quantroof.records.lines import Method

_REPLAY_NS = 1_000_000
_REPLAYS_QUEUED = 8
_MAX_CALLS = 4096
_SPIN_CYCLES = 2_000_000  # about 1 ms at 2 GHz: longer than queueing eight replays takes the host


class CudaGraphReplays:
    """Replays of a captured graph of rotated calls.

    `while_busy` runs after replays were queued and before the host waits for them: the moment to read
    clocks, because the device is busy then.
    """

    method: Method = "cuda-graph"

    def __init__(self, call: Call, copies: Copies, while_busy: Callable[[], None]) -> None:
        self._while_busy = while_busy
        self._stream = _stream()
        estimate_ns = _warm_up(call, copies, self._stream)
        rounds = -(-_REPLAY_NS // max(1, int(estimate_ns * len(copies.sets))))
        self.calls_per_sample = min(_MAX_CALLS, max(1, rounds) * len(copies.sets))
        self._graph = torch.cuda.CUDAGraph()
        sets = cycle(copies.sets)
        with torch.cuda.graph(self._graph, stream=self._stream):
            for _ in range(self.calls_per_sample):
                call(*next(sets))
        self.samples()  # the first replay uploads the graph

    def samples(self) -> list[float]:
        """Eight replays, each between its own events."""
        return _timed_behind_spin(
            self._graph.replay, self._stream, _REPLAYS_QUEUED, self.calls_per_sample, self._while_busy
        )


class CudaEvents:
    """Events around blocks of eager calls behind a spin kernel, for providers that cannot be captured."""

    method: Method = "cuda-events"

    def __init__(self, call: Call, copies: Copies, while_busy: Callable[[], None]) -> None:
        self._call, self._sets = call, cycle(copies.sets)
        self._while_busy = while_busy
        self._stream = _stream()
        estimate_ns = _warm_up(call, copies, self._stream)
        # Few enough that the queue never fills: the driver holds about a thousand launches.
        self.calls_per_sample = max(1, min(100, int(_REPLAY_NS / max(1.0, estimate_ns))))

    def samples(self) -> list[float]:
        """One block of calls."""
        return _timed_behind_spin(self._block, self._stream, 1, self.calls_per_sample, self._while_busy)

    def _block(self) -> None:
        for _ in range(self.calls_per_sample):
            self._call(*next(self._sets))


def _warm_up(call: Call, copies: Copies, stream: torch.cuda.Stream) -> float:
    """Compile and plan outside the capture; returns a first estimate of nanoseconds a call."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for weights in copies.sets[:2]:
            call(*weights)
        stream.synchronize()
        begin, end = _event(), _event()
        begin.record()
        for weights in copies.sets[:8]:
            call(*weights)
        end.record()
        end.synchronize()
    return _nanoseconds(begin, end) / len(copies.sets[:8])


def _timed_behind_spin(
    block: Callable[[], None],
    stream: torch.cuda.Stream,
    blocks: int,
    calls: int,
    while_busy: Callable[[], None],
) -> list[float]:
    events = [_event() for _ in range(blocks + 1)]
    with torch.cuda.stream(stream):
        torch.cuda._sleep(_SPIN_CYCLES)  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch's only spin kernel
        events[0].record()
        for event in events[1:]:
            block()
            event.record()
    while_busy()
    events[-1].synchronize()
    return [_nanoseconds(begin, end) / calls for begin, end in pairwise(events)]


def _nanoseconds(begin: torch.cuda.Event, end: torch.cuda.Event) -> float:
    return float(begin.elapsed_time(end)) * 1e6


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _stream() -> torch.cuda.Stream:
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]
