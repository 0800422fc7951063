"""Run single cases for profilers: cold calls in an NVTX range, or a timeline of their kernels as JSON.

Run as `python -m quantroof.bench.crosscheck.single CASE KERNEL [CASE KERNEL ...] [--index N] [--timeline]`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import torch

from quantroof.bench.crosscheck.ncu import CALLS, RANGE
from quantroof.bench.memory import available_bytes
from quantroof.bench.timing.cuda_graph import capture
from quantroof.bench.timing.cuda_stream import own_stream, warm_up
from quantroof.bench.timing.rotation import Arena, Copies
from quantroof.errors import UsageError, first_line
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Prepared, Skip
from quantroof.kernels.problem import Problem
from quantroof.kernels.registry import load

_WARM_CALLS = 5


@dataclass(frozen=True, slots=True)
class Spans:
    """Nanoseconds from the first start to the last end of each call, which launches `kernels` kernels."""

    spans_ns: list[float]
    kernels: int


def spans(kernels_ns: Sequence[tuple[float, float]], calls: int) -> Spans:
    """Group (start, end) of every kernel into calls: each launches the same number of them, in order."""
    ordered = sorted(kernels_ns)
    if not ordered or len(ordered) % calls:
        raise UsageError(f"{len(ordered)} kernels do not divide into {calls} equal calls")
    size = len(ordered) // calls
    groups = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    return Spans([max(end for _, end in group) - group[0][0] for group in groups], size)


def main() -> None:
    """Prepare each case, warm it up, then run it where the profiler looks."""
    began_s = time.monotonic()
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="+", metavar="CASE KERNEL")
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no case after this time")
    parser.add_argument("--timeline", action="store_true", help="kernel spans from torch's profiler, as JSON")
    options = parser.parse_args()
    device = next(d for d in detect().gpus if d.index == options.index)
    torch.cuda.set_device(device.index)
    run = _timed if options.timeline else _ranged
    pairs = list(zip(options.cases[::2], options.cases[1::2], strict=True))
    answers = []
    for answer in _each(device, pairs, run, options.calls):
        answers.append(answer)
        if time.monotonic() - began_s > options.seconds:
            break
    answers += [None] * (len(pairs) - len(answers))
    if options.timeline:
        print(json.dumps({"cases": answers}))


def _each(device: Device, pairs: Any, run: Any, calls: int) -> Iterator[Any]:
    """What `run` gives for each case; one that fails is named on standard error and gives None."""
    target = torch.device("cuda", device.index)
    arena = Arena(target, device.llc_bytes or 0, available_bytes(device) // 2)
    for case, kernel in pairs:
        torch.cuda._sleep(1)  # type: ignore[no-untyped-call]  # noqa: SLF001 - loaded outside the range
        try:
            yield run(*_prepare(device, arena, case, kernel), calls)
        except Exception as error:  # noqa: BLE001 - a kernel may raise anything; only its case fails
            print(f"{case} {kernel}: {first_line(error)}", file=sys.stderr)
            if run is _ranged:
                _mark()
            yield None


def _prepare(device: Device, arena: Arena, case_id: str, kernel: str) -> tuple[Prepared, Copies]:
    prepared = load().kernels[kernel].build(Problem(Case.parse(case_id), device))
    if isinstance(prepared, Skip):
        raise UsageError(prepared.reason)
    return prepared, arena.copies(prepared.weights, cold=True)


def _ranged(prepared: Prepared, copies: Copies, calls: int) -> None:
    sets = cycle(copies.sets)
    for _ in range(_WARM_CALLS):
        prepared.call(*next(sets))
    torch.cuda.synchronize()
    _mark()
    with torch.cuda.nvtx.range(RANGE):
        for _ in range(calls):
            prepared.call(*next(sets))
        torch.cuda.synchronize()


def _mark() -> None:
    """The kernel that begins a case's launches in the profiler's table."""
    with torch.cuda.nvtx.range(RANGE):
        torch.cuda._sleep(1)  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch's only spin kernel
        torch.cuda.synchronize()


def _timed(prepared: Prepared, copies: Copies, calls: int) -> dict[str, Any]:
    """First start to last end of every call's kernels, in a captured graph as the bench replays it."""
    warm_up(prepared.call, copies, own_stream())
    graph = capture(prepared.call, copies, calls, own_stream())
    graph.replay()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        graph.replay()
        torch.cuda.synchronize()
    kernels = [e for e in profile.events() if e.device_type.name == "CUDA"]
    found: Spans = spans([(e.time_range.start * 1e3, e.time_range.end * 1e3) for e in kernels], calls)
    return {"spans_ns": found.spans_ns, "kernels": found.kernels}


if __name__ == "__main__":
    main()
