"""Shared by all link measurements: sampling with the clock of the device, and the ceiling record."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import torch

from quantroof.bench.timing.cuda_stream import nanoseconds, new_event
from quantroof.records.lines import Ceiling, Method, Timing

_GPU_BYTES = 256 << 20  # long enough for the full rate of NVLink, 10 ms on PCIe
_HOST_BYTES = 16 << 20
_WARM_CALLS, _SAMPLES = 2, 7
_BLOCK_NS, _MOST_CALLS = 10e6, 20


def payload_bytes(device: torch.device) -> int:
    """Bytes that one copy carries."""
    return _GPU_BYTES if device.type == "cuda" else _HOST_BYTES


def link_timing(
    call: Callable[[], object], device: torch.device, agree: Callable[[int], int] = int
) -> Timing:
    """Nanoseconds per call of every block, after a warm-up; events on a GPU, the host's clock elsewhere.

    A block has as many calls as last some milliseconds. `agree` makes that number the same on every rank,
    because the ranks of a collective must make the same calls. Nothing rotates: no cache is involved.
    """
    for _ in range(_WARM_CALLS):
        call()
    block = _on_gpu if device.type == "cuda" else _on_host
    method: Method = "cuda-events" if device.type == "cuda" else "cpu-blocks"
    calls = agree(min(_MOST_CALLS, max(1, int(_BLOCK_NS / block(call, device, 1)))))
    return Timing(
        samples_ns=tuple(block(call, device, calls) for _ in range(_SAMPLES)),
        calls_per_sample=calls,
        cache="cold",
        method=method,
        stopped_by="max_samples",
        copies=1,
        rotated_bytes=0,
    )


def _on_gpu(call: Callable[[], object], device: torch.device, calls: int) -> float:
    begin, end = new_event(), new_event()
    with torch.cuda.device(device):
        torch.cuda.synchronize()
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        return nanoseconds([begin, end], calls)[0]


def _on_host(call: Callable[[], object], _device: torch.device, calls: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - start) / calls


def link_ceiling(
    device: str, name: str, kernel: str, moved: int, timing: Timing, size: int | None = None
) -> Ceiling:
    """A timed link; the rate counts `moved` bytes per call, of a message of `size` where that is another
    number."""
    return Ceiling(
        device=device,
        quantity="link",
        name=name,
        kernel=kernel,
        status="ok",
        bytes_moved=moved,
        shape=None if size is None else (size,),
        timing=timing,
    )


def print_line(line: Ceiling) -> None:
    """One ceiling as a line of JSON for the process that started this one."""
    print(msgspec.json.encode(line).decode(), flush=True)
