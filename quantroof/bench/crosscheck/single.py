"""One case by itself, for profilers: cold calls in an NVTX range, or a timeline of its kernels as JSON.

Run as `python -m quantroof.bench.crosscheck.single CASE KERNEL [--index N] [--calls N] [--timeline]`.
"""

from __future__ import annotations

import argparse
import json
from itertools import cycle
from typing import Any

import torch

from quantroof.bench.crosscheck.ncu import CALLS, RANGE
from quantroof.bench.crosscheck.timeline import spans
from quantroof.bench.memory import available_bytes
from quantroof.bench.timing.rotation import Arena, Copies
from quantroof.errors import UsageError
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.problem import Problem
from quantroof.kernels.registry import Prepared, Skip, load

_WARM_CALLS = 5


def main() -> None:
    """Prepare the case, warm it up, then run it where the profiler looks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("kernel")
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--timeline", action="store_true", help="kernel spans from torch's profiler, as JSON")
    options = parser.parse_args()
    device = next(d for d in detect().gpus if d.index == options.index)
    torch.cuda.set_device(device.index)
    prepared, copies = _prepare(device, options.case, options.kernel)
    sets = cycle(copies.sets)
    for _ in range(_WARM_CALLS):
        prepared.call(*next(sets))
    torch.cuda.synchronize()
    if options.timeline:
        print(json.dumps({"spans_ns": _timeline(prepared, sets, options.calls)}))
        return
    with torch.cuda.nvtx.range(RANGE):
        for _ in range(options.calls):
            prepared.call(*next(sets))
        torch.cuda.synchronize()


def _prepare(device: Device, case_id: str, kernel: str) -> tuple[Prepared, Copies]:
    problem = Problem(Case.parse(case_id), device)
    prepared = load().kernels[kernel].build(problem)
    if isinstance(prepared, Skip):
        raise UsageError(prepared.reason)
    target = torch.device("cuda", device.index)
    arena = Arena(target, device.llc_bytes or 0, (available_bytes(device) or 1 << 33) // 2)
    return prepared, arena.copies(prepared.weights, cold=True)


def _timeline(prepared: Prepared, sets: Any, calls: int) -> list[float]:
    """First start to last end of every call's kernels, in a captured graph as the bench replays it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            prepared.call(*next(sets))
    graph.replay()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        graph.replay()
        torch.cuda.synchronize()
    kernels = [e for e in profile.events() if e.device_type.name == "CUDA"]
    return spans([(e.time_range.start * 1e3, e.time_range.end * 1e3) for e in kernels], calls)


if __name__ == "__main__":
    main()
