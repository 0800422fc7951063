"""Shared by both link measurements: sampling with the clock of the device, and the ceiling record."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from quantroof.bench.timing.cuda_stream import nanoseconds, new_event
from quantroof.records.lines import Ceiling, Method, Timing

_GPU_BYTES = 256 << 20  # long enough for the full rate of NVLink, 10 ms on PCIe
_HOST_BYTES = 16 << 20
WARM_CALLS, SAMPLES, CALLS = 5, 20, 4


def payload_bytes(device: torch.device) -> int:
    """Bytes that one call carries."""
    return _GPU_BYTES if device.type == "cuda" else _HOST_BYTES


def samples_ns(call: Callable[[], None], device: torch.device) -> tuple[float, ...]:
    """Nanoseconds per call of every block, after a warm-up; events on a GPU, the host's clock elsewhere.

    The number of calls is fixed, because every rank of a collective must make the same ones.
    """
    for _ in range(WARM_CALLS):
        call()
    block = _on_gpu if device.type == "cuda" else _on_host
    return tuple(block(call, device) for _ in range(SAMPLES))


def _on_gpu(call: Callable[[], None], device: torch.device) -> float:
    begin, end = new_event(), new_event()
    with torch.cuda.device(device):
        torch.cuda.synchronize()
        begin.record()
        for _ in range(CALLS):
            call()
        end.record()
        return nanoseconds([begin, end], CALLS)[0]


def _on_host(call: Callable[[], None], _device: torch.device) -> float:
    start = time.perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (time.perf_counter_ns() - start) / CALLS


def link_ceiling(device: str, name: str, kernel: str, moved: int, samples: tuple[float, ...]) -> Ceiling:
    """A timed link; the rate counts `moved` bytes per call. Nothing rotates, because no cache is involved."""
    method: Method = "cuda-events" if device.startswith("cuda") else "cpu-blocks"
    timing = Timing(
        samples_ns=samples,
        calls_per_sample=CALLS,
        cache="cold",
        method=method,
        stopped_by="max_samples",
        copies=1,
        rotated_bytes=0,
    )
    return Ceiling(
        device=device,
        quantity="link",
        name=name,
        kernel=kernel,
        status="ok",
        bytes_moved=moved,
        timing=timing,
    )
