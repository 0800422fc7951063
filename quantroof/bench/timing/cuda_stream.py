"""The pieces that CUDA timers share: a stream, events, a warm-up, and the spin kernel that hides queueing."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch

from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import Call
from quantroof.records.lines import Flag

# About 1 ms at 2 GHz: longer than the host needs to queue a batch, so that the device never waits for it.
_SPIN_CYCLES = 2_000_000
_FASTEST_CYCLES_NS = 3.0  # no GPU runs above 3 GHz
_SPIN_MARGIN = 1.5
_LONGEST_SPIN_NS = 20_000_000

LONG_CALL_NS = 20_000_000
"""From here on a call is timed in few repetitions, on two weight sets: caches hide next to nothing of it."""
BATCH_NS = 50_000_000
"""A batch is not made longer than this by repeating calls."""


def new_stream() -> torch.cuda.Stream:
    """A stream of our own: captures are not allowed on the default one."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1)
def own_stream() -> torch.cuda.Stream:
    """The one stream that a worker times everything on.

    cuBLAS allocates a workspace of 32 MiB for every stream it meets, and the allocator keeps a pool for each.
    """
    return new_stream()


def new_event() -> torch.cuda.Event:
    """An event that keeps its time."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def spin(cycles: int = _SPIN_CYCLES) -> None:
    """Keep the current stream busy, for about a millisecond if nothing else is asked for."""
    torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch's only spin kernel


def spin_cycles(host_ns: float) -> int:
    """Cycles of a spin that lasts longer than the host needs to queue what comes after it, 20 ms at most."""
    wanted = min(_SPIN_MARGIN * host_ns, _LONGEST_SPIN_NS)
    return max(_SPIN_CYCLES, int(wanted * _FASTEST_CYCLES_NS))


class QueueWatch:
    """Counts batches whose spin had ended before the host had queued them: their samples hold launch gaps."""

    def __init__(self) -> None:
        self._batches = self._late = 0

    def queued(self, first: torch.cuda.Event) -> None:
        """The whole batch is queued; `first` is recorded behind its spin."""
        self._batches += 1
        self._late += bool(first.query())  # type: ignore[no-untyped-call]

    def flags(self) -> tuple[Flag, ...]:
        """A flag where at least half of the batches were late: fewer do not move the median."""
        if not self._batches or 2 * self._late < self._batches:
            return ()
        share = f"{self._late} of {self._batches} batches"
        text = f"the host queued {share} slower than the device worked: their samples hold launch gaps"
        return (Flag(code="host_bound", text=text),)


def nanoseconds(events: list[torch.cuda.Event], calls: int) -> list[float]:
    """Nanoseconds per call between neighboring events; waits for the last of them."""
    events[-1].synchronize()
    return [float(begin.elapsed_time(end)) * 1e6 / calls for begin, end in pairwise(events)]


def output_of(call: Call, weights: tuple[Any, ...], refresh: Callable[[tuple[Any, ...]], None]) -> Any:
    """What a call returns for weights that `refresh` has written into.

    Only our stream is waited for, as in a sample: work that a call leaves on another one may be missing.
    """
    stream = own_stream()
    refresh(weights)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        output = call(*weights)
    stream.synchronize()
    return output


def make_room() -> None:
    """Before a capture, which may free nothing: give back what is kept unused, where little is free."""
    free, _ = torch.cuda.mem_get_info()
    if torch.cuda.memory_reserved() - torch.cuda.memory_allocated() > free:
        torch.cuda.empty_cache()


def warm_up(call: Call, copies: Copies, stream: torch.cuda.Stream) -> float:
    """Compile and plan outside any capture; returns a first estimate of nanoseconds per call.

    A call that takes long is made twice, any other up to ten times.
    """
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call(*copies.sets[0])
        stream.synchronize()
        once_ns = _behind_spin(call, copies.sets[1:2] or copies.sets)
        return once_ns if once_ns > LONG_CALL_NS else _behind_spin(call, copies.sets[:8])


def _behind_spin(call: Call, sets: list[tuple[Any, ...]]) -> float:
    """Nanoseconds per call, all queued before the first one runs: launches outlast short kernels."""
    begin, end = new_event(), new_event()
    spin()
    begin.record()
    for weights in sets:
        call(*weights)
    end.record()
    return nanoseconds([begin, end], len(sets))[0]
