"""Graph replays between device events: no launch gap enters a sample.

An event pair around one launch reads 10 us too much on a 13 us kernel. So a graph holds enough calls for a
replay of a millisecond, and replays are queued in batches: in burst behind a spin kernel, so that the host
has finished queueing before the first replay starts; in sustained with the next batch queued before the last
one is waited for, so that the device never rests.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from typing import Any

import torch

from quantroof.bench.timing.cuda_stream import (
    BATCH_NS,
    LONG_CALL_NS,
    QueueWatch,
    make_room,
    nanoseconds,
    new_event,
    own_stream,
    spin,
    warm_up,
)
from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import Call, Probe
from quantroof.errors import described
from quantroof.records.lines import Flag, Method

_REPLAY_NS = 1_000_000
_SHORT_NS = 0.8 * _REPLAY_NS
_REPLAYS = 8
_MAX_CALLS = 4096

CANNOT_CAPTURE = "cannot be captured in a CUDA graph"


class CaptureError(RuntimeError):
    """A call that a graph cannot capture: it waits for the device, or copies from the host. The text says so.

    torch's allocator does not recover from a broken capture, so the process must be replaced.
    """


def replay_calls(estimate_ns: float, sets: int) -> int:
    """Calls in one graph: whole turns through the weight sets, together at least a millisecond."""
    turns = -(-_REPLAY_NS // max(1, int(estimate_ns * sets)))
    return max(sets, min(_MAX_CALLS // sets, turns) * sets)


def capture(call: Call, copies: Copies, calls: int, stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
    """A graph of `calls` calls that use the weight sets in turn.

    Not by torch.cuda.graph: that empties the allocator's cache each time, and hides why a capture failed.
    """
    graph, sets = torch.cuda.CUDAGraph(), cycle(copies.sets)
    torch.cuda.synchronize()
    make_room()
    with torch.cuda.stream(stream):
        graph.capture_begin()
        try:
            for _ in range(calls):
                call(*next(sets))
            graph.capture_end()
        except Exception as error:
            with suppress(RuntimeError):
                graph.capture_end()
            hint = "its declaration should say capturable=False"
            raise CaptureError(f"{CANNOT_CAPTURE} ({described(error)}); {hint}") from error
    return graph


class _LastOutput:
    """A call that keeps its last output: in a graph, the memory that the last call of a replay writes."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.value: Any = None

    def __call__(self, *weights: Any) -> Any:
        """Call, and keep the output."""
        self.value = self._call(*weights)
        return self.value


class GraphReplays:
    """Batches of eight replays behind a spin kernel: the burst mode. Fewer replays if the calls are long."""

    method: Method = "cuda-graph"

    def __init__(self, call: Call, copies: Copies, probe: Probe) -> None:
        self._probe, self._stream, self._watch = probe, own_stream(), QueueWatch()
        call = self._last = _LastOutput(call)
        estimate_ns = warm_up(call, copies, self._stream)
        is_long = estimate_ns > LONG_CALL_NS
        self.copies = copies.first(2) if is_long else copies
        self.calls_per_sample = replay_calls(estimate_ns, len(self.copies.sets))
        self._graph = capture(call, self.copies, self.calls_per_sample, self._stream)
        replay_ns = estimate_ns * self.calls_per_sample if is_long else self._fitted(call)
        self._replays = max(1, min(_REPLAYS, int(BATCH_NS / max(1.0, replay_ns))))
        self.batch_s = self._replays * replay_ns / 1e9

    def samples(self) -> list[float]:
        """One batch."""
        events = self._queue(with_spin=True)
        return nanoseconds(events, self.calls_per_sample)

    def finish(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()

    def output(self, refresh: Callable[[tuple[Any, ...]], None]) -> Any:
        """What the last call of a replay wrote for its weight set, which `refresh` had written into."""
        refresh(self.copies.sets[-1])
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._graph.replay()
        self._stream.synchronize()
        return self._last.value

    def flags(self) -> tuple[Flag, ...]:
        """Whether the host kept up with the device."""
        return self._watch.flags()

    def _fitted(self, call: Call) -> float:
        """Time of a replay, captured again where it is too short.

        Calls that the host queues slower than the device works were estimated too long.
        """
        replay_ns = self._replay_ns()
        enough = replay_calls(replay_ns / self.calls_per_sample, len(self.copies.sets))
        if replay_ns >= _SHORT_NS or enough <= self.calls_per_sample:
            return replay_ns
        self.calls_per_sample = enough
        self._graph = capture(call, self.copies, enough, self._stream)
        return self._replay_ns()

    def _replay_ns(self) -> float:
        """Time of one replay, the second: the first uploads the graph."""
        begin, end = new_event(), new_event()
        with torch.cuda.stream(self._stream):
            self._graph.replay()
            begin.record()
            self._graph.replay()
            end.record()
        return nanoseconds([begin, end], 1)[0]

    def _queue(self, *, with_spin: bool) -> list[torch.cuda.Event]:
        events = [new_event() for _ in range(self._replays + 1)]
        with torch.cuda.stream(self._stream):
            if with_spin:
                spin()
            self._probe.begin()
            events[0].record()
            for event in events[1:]:
                self._graph.replay()
                event.record()
            self._probe.end()
        if with_spin:
            self._watch.queued(events[0])
        self._probe.busy()
        return events


class SustainedReplays(GraphReplays):
    """The same batches without rest: one is always queued behind the one being waited for."""

    def __init__(self, call: Call, copies: Copies, probe: Probe) -> None:
        super().__init__(call, copies, probe)
        self._ahead = self._queue(with_spin=True)

    def samples(self) -> list[float]:
        """The batch queued last time, after the next one is in the queue."""
        events, self._ahead = self._ahead, self._queue(with_spin=False)
        return nanoseconds(events, self.calls_per_sample)
