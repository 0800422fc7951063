"""What a loaded model takes: its tensors, the allocator's books, and the device's own word."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from quantroof.quality.checkpoint import open_checkpoint
from quantroof.quality.environment import use_device


def measure(path: Path, device: str) -> dict[str, int | None]:
    """Load a checkpoint as stored and report bytes; None for what this device does not tell.

    `parameters` and `buffers` are tensors of modules. Quantization state that a library keeps beside them
    (bitsandbytes' absmax) is in neither: the allocator sees it, `parameters()` does not.
    """
    device = use_device(device)
    on_gpu = device.startswith("cuda")
    process = psutil.Process()
    resident = process.memory_info().rss
    free_before = torch.cuda.mem_get_info(device)[0] if on_gpu else 0
    model = open_checkpoint(path).model(None, device)
    used: dict[str, int | None] = {
        "parameters": sum(p.numel() * p.element_size() for p in model.parameters()),
        "buffers": sum(b.numel() * b.element_size() for b in model.buffers()),
        "allocator, allocated": torch.cuda.memory_allocated(device) if on_gpu else None,
        "allocator, reserved": torch.cuda.memory_reserved(device) if on_gpu else None,
        "device, taken meanwhile": free_before - torch.cuda.mem_get_info(device)[0] if on_gpu else None,
        "process, resident growth": process.memory_info().rss - resident,
    }
    return used
