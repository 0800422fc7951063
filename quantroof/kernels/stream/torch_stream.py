"""Streaming kernels of torch for bandwidth ceilings: read, write, copy and triad over rotated buffers.

Counting convention (STREAM's): every array a kernel reads or writes counts once; the read that a CPU's
write-allocate cache adds to a write does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.kernel import Prepared

_ARRAY_BYTES = {"cpu": 1 << 27, "gpu": 1 << 30}


def array_bytes(device: Device) -> int:
    """Bytes of one array: several milliseconds of traffic on the device's kind of memory."""
    return _ARRAY_BYTES[device.processor]


@dataclass(frozen=True, slots=True)
class StreamKernel:
    """A bandwidth test: `arrays` arrays are rotated, `touched` counts the reads and writes of each call."""

    name: str
    kernel: str
    arrays: int
    touched: int
    call: Callable[..., Any]

    def bytes_moved(self, device: Device) -> int:
        """Bytes read and written by one call."""
        return self.touched * array_bytes(device)

    def build(self, device: Device) -> Prepared:
        """Arrays of fp32 normal values on the device, ready to be rotated and timed."""
        import torch

        where = "cpu" if device.processor == "cpu" else f"cuda:{device.index}"
        values = torch.randn(array_bytes(device) // 4, device=where)
        return Prepared((values,) * self.arrays, self.call, hot=())


def stream_kernels(device: Device) -> tuple[StreamKernel, ...]:
    """The kernels that are tried on a kind of device; where a name has several, the best one counts."""
    import torch

    def triad(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.add(b, c, alpha=3.0, out=a)

    common = (
        StreamKernel("read", "torch.sum", 1, 1, torch.sum),
        StreamKernel("write", "torch.fill_", 1, 1, lambda a: a.fill_(1.5)),
        StreamKernel("copy", "torch.copy_", 2, 2, lambda a, b: a.copy_(b)),
        StreamKernel("triad", "torch.add", 3, 3, triad),
    )
    if device.processor == "gpu":
        return common
    dot = StreamKernel("read", "torch.dot", 1, 1, lambda a: torch.dot(a, a))
    return (dot, *common)
