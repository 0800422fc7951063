"""The speed of one rank's device in a fraction of a second: a copy in memory and a bf16 product.

Everything that is allocated is freed again: a training job goes on where it was.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from quantroof.bench.sniff.times import Place, ProbeTimes
from quantroof.errors import QuantroofError

_COPY_BYTES = {"cuda": 256 << 20, "cpu": 8 << 20}
_SIDE = {"cuda": 4096, "cpu": 256}
_FREE_SHARE = 8
"""A probe takes at most this part of the memory that is free."""
_WARM_CALLS, _LEAST_CALLS = 3, 5
BARRIERS = 2
"""How often a probe waits for the other ranks."""


def place_of(device: torch.device, node: str) -> Place:
    """The device as torch names it."""
    if device.type != "cuda":
        return Place(node=node, kind="cpu", index=0, name="CPU")
    seen = torch.cuda.get_device_properties(device)
    uuid = getattr(seen, "uuid", None)
    return Place(
        node=node,
        kind="cuda",
        index=device.index or 0,
        name=seen.name,
        uuid=None if uuid is None else f"GPU-{uuid}",
        pci=_address(seen),
    )


def _address(seen: object) -> str | None:
    parts = [getattr(seen, f"pci_{part}_id", None) for part in ("domain", "bus", "device")]
    if any(part is None for part in parts):
        return None
    domain, bus, slot = (int(part) for part in parts if part is not None)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.0"


def room_bytes(device: torch.device) -> int:
    """The bytes that a probe may copy on this device; every rank must copy as many."""
    target_bytes = _COPY_BYTES[device.type]
    if device.type != "cuda":
        return target_bytes
    free = torch.cuda.mem_get_info(device)[0]
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(target_bytes, (free + cached) // _FREE_SHARE)


def probe(device: torch.device, copy_bytes: int, seconds: float, barrier: Callable[[], None]) -> ProbeTimes:
    """Time a copy and a product for `seconds` in all; the ranks start each of them together."""
    memory = _timed(_copy(device, copy_bytes), device, seconds / 2, barrier)
    compute = _timed(_product(device), device, seconds / 2, barrier)
    return ProbeTimes(memory_ns=memory, compute_ns=compute)


def reserved_bytes(device: torch.device) -> int:
    """What torch's allocator holds of the device."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def release(device: torch.device, before: int) -> None:
    """Give back to the driver what the allocator holds beyond `before`."""
    if reserved_bytes(device) > before:
        torch.cuda.empty_cache()


def _copy(device: torch.device, size: int) -> Callable[[], object]:
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _product(device: torch.device) -> Callable[[], object]:
    side = _SIDE[device.type]
    left = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    out = torch.empty_like(left)
    return lambda: torch.mm(left, left, out=out)


@torch.no_grad()
def _timed(
    call: Callable[[], object], device: torch.device, seconds: float, barrier: Callable[[], None]
) -> float:
    """The median of single calls."""
    for _ in range(_WARM_CALLS):
        call()
    barrier()
    once = _on_gpu if device.type == "cuda" else _on_host
    samples: list[float] = []
    end = time.monotonic() + seconds
    while len(samples) < _LEAST_CALLS or time.monotonic() < end:
        samples.append(once(call))
    return statistics.median(samples)


def _on_gpu(call: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) * 1e6


def _on_host(call: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    call()
    return float(time.perf_counter_ns() - start)


def device_of_rank(backend: str) -> torch.device:
    """The device that this rank computes on: its current GPU under NCCL, else the CPU."""
    if "nccl" not in backend:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise QuantroofError("the group is NCCL's and this rank has no GPU", where="sniff")
    return torch.device("cuda", torch.cuda.current_device())
