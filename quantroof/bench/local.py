"""A Bench in this very process: what a worker measures with, and a test that wants our sampler."""

from __future__ import annotations

import os

import torch

from quantroof.bench.measure import Bench
from quantroof.bench.memory import available_bytes
from quantroof.bench.settings import Settings
from quantroof.bench.state.monitor import monitor_for
from quantroof.bench.timing.rotation import Arena
from quantroof.hwprofiles.types import Device


def local_bench(device: Device, settings: Settings) -> Bench:
    """Make the device current, and set up its memory for rotated copies and the watch over its state."""
    if device.kind == "cpu":
        torch.set_num_threads(device.cpu.usable_cores if device.cpu else os.cpu_count() or 1)
        target = torch.device("cpu")
    else:
        torch.cuda.set_device(device.index)
        target = torch.device("cuda", device.index)
    limit = (available_bytes(device) or 1 << 33) // 2
    arena = Arena(target, device.llc_bytes or 0, limit)
    return Bench(device, settings, arena, monitor_for(device))
