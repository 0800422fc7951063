"""The pieces that CUDA timers share: a stream, events, a warm-up, and the spin kernel that hides queueing."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch

from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import Call

# About 1 ms at 2 GHz: longer than the host needs to queue a batch, so that the device never waits for it.
_SPIN_CYCLES = 2_000_000


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


def spin() -> None:
    """Keep the current stream busy for about a millisecond."""
    torch.cuda._sleep(_SPIN_CYCLES)  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch's only spin kernel


def nanoseconds(events: list[torch.cuda.Event], calls: int) -> list[float]:
    """Nanoseconds per call between neighboring events; waits for the last of them."""
    events[-1].synchronize()
    return [float(begin.elapsed_time(end)) * 1e6 / calls for begin, end in pairwise(events)]


def make_room() -> None:
    """Before a capture, which may free nothing: give back what is kept unused, where little is free."""
    free, _ = torch.cuda.mem_get_info()
    if torch.cuda.memory_reserved() - torch.cuda.memory_allocated() > free:
        torch.cuda.empty_cache()


def warm_up(call: Call, copies: Copies, stream: torch.cuda.Stream) -> float:
    """Compile and plan outside any capture; returns a first estimate of nanoseconds per call.

    The calls wait behind a spin kernel: a launch from Python takes longer than many a kernel.
    """
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for weights in copies.sets[:2]:
            call(*weights)
        stream.synchronize()
        begin, end = new_event(), new_event()
        spin()
        begin.record()
        for weights in copies.sets[:8]:
            call(*weights)
        end.record()
    return nanoseconds([begin, end], len(copies.sets[:8]))[0]
