"""A Bench in this process, for a worker or for a test that uses the sampler."""

from __future__ import annotations

import os

import torch

from quantroof.bench.host_heap import give_back, keep_freed_memory
from quantroof.bench.measure import Bench
from quantroof.bench.memory import available_bytes
from quantroof.bench.settings import Settings
from quantroof.bench.state.monitor import monitor_for
from quantroof.bench.timing.rotation import Arena
from quantroof.errors import first_line
from quantroof.hwprofiles.types import Device

_MOST_RESERVED = 0.5


def tidy(bench: Bench, *, after_shortage: bool = False) -> None:
    """Return memory to the driver before a case, where much is reserved or the last case ran out of it.

    torch's allocator keeps freed memory, and the pools of destroyed graphs. It would release them for its own
    requests, but not for Triton, cuBLAS or a graph. On a CPU the free heap is returned to the kernel.
    """
    if bench.device.processor == "cpu":
        give_back()
        return
    reserved = torch.cuda.memory_reserved()
    if after_shortage or reserved > _MOST_RESERVED * (bench.device.memory_bytes or reserved):
        bench.arena.release()
        torch.cuda.empty_cache()


def lost_context(bench: Bench) -> str | None:
    """Why this process can no longer use its GPU, or None: most CUDA errors destroy the context."""
    if bench.device.processor == "cpu":
        return None
    try:
        torch.zeros(1, device=torch.cuda.current_device()).add_(1).item()
        torch.cuda.synchronize()
    except torch.OutOfMemoryError:
        return None
    except RuntimeError as error:
        return first_line(error)
    return None


def local_bench(device: Device, settings: Settings) -> Bench:
    """Make the device current, and set up its memory for rotated copies and its monitor."""
    if device.processor == "cpu":
        keep_freed_memory()
        torch.set_num_threads(device.cpu.usable_cores if device.cpu else os.cpu_count() or 1)
        target = torch.device("cpu")
    else:
        torch.cuda.set_device(device.index)
        target = torch.device("cuda", device.index)
    limit = available_bytes(device) // 2
    arena = Arena(target, device.llc_bytes or 0, limit)
    return Bench(device, settings, arena, monitor_for(device))
