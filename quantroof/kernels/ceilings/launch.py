"""CUDA C++ kernels on torch's tensors and streams: compiled by NVRTC, loaded and launched by cupy.

What runs is exactly the machine code that can be disassembled without a GPU: the same library, options and
architecture. cupy and torch share the device's primary context, so pointers and streams pass between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from quantroof.errors import EnvironmentMissing, first_line
from quantroof.extras import install_hint
from quantroof.hwprofiles.compute import not_nvidia
from quantroof.hwprofiles.types import Device
from quantroof.kernels.kernel import Skip
from quantroof.kernels.sass.native import read_source
from quantroof.kernels.sass.nvrtc import compile_cuda, nvrtc_version

# Generations whose own instructions (wgmma, tcgen05, block scales) need the architecture-specific target.
_SPECIFIC_FROM = (9, 0)


def unavailable() -> Skip | None:
    """Why no CUDA C++ kernel can run in this environment, or None."""
    if find_spec("cupy") is None:
        return Skip(f"cupy is not installed ({install_hint('cuda13')})")
    try:
        import cupy  # noqa: F401 - installed, it may still not load: another CUDA, another numpy

        nvrtc_version()
    except Exception as error:  # noqa: BLE001 - a library that does not fit this machine may raise anything
        return Skip(f"no CUDA C++ kernels: {first_line(error)}")
    return None


def arch_of(device: Device) -> str:
    """The target of a device: `sm_89`, `sm_90a`. EnvironmentMissing for what is not one of NVIDIA's."""
    assert device.capability is not None, "a CUDA device has a compute capability"
    if reason := not_nvidia(device.capability):
        raise EnvironmentMissing(reason, where=device.id)
    major, minor = device.capability
    return f"sm_{major}{minor}{'a' if (major, minor) >= _SPECIFIC_FROM else ''}"


class CudaKernel:
    """One kernel of a source, loaded on a device."""

    def __init__(self, device: Device, source: str, name: str, options: tuple[str, ...] = ()) -> None:
        self._index = device.index
        self._function = _module(device.index, arch_of(device), source, options).get_function(name)

    def __call__(self, grid: int, block: int, *arguments: Any) -> None:
        """Launch on torch's current stream. Tensors pass as pointers, numpy scalars by value."""
        import cupy
        import torch

        passed = tuple(_argument(argument) for argument in arguments)
        stream = foreign_stream(torch.cuda.current_stream(self._index).cuda_stream)
        with cupy.cuda.Device(self._index):
            self._function((grid, 1, 1), (block, 1, 1), passed, stream=stream)


@dataclass(frozen=True, slots=True)
class _Foreign:
    """A stream of another library in the form that cupy 14 takes (cuda-python's stream protocol)."""

    pointer: int

    def __cuda_stream__(self) -> tuple[int, int]:
        """Version of the protocol, and the stream."""
        return 0, self.pointer


@lru_cache(maxsize=64)
def foreign_stream(pointer: int) -> Any:
    """cupy's view of a stream; cupy 13 has only ExternalStream, which cupy 14 deprecates."""
    import cupy

    wrap = getattr(cupy.cuda.Stream, "from_external", None)
    return cupy.cuda.ExternalStream(pointer) if wrap is None else wrap(_Foreign(pointer))


@lru_cache(maxsize=64)
def _module(index: int, arch: str, source: str, options: tuple[str, ...]) -> Any:
    """Machine code loaded into the device's primary context, which must outlive its kernels."""
    import cupy

    module = cupy.cuda.function.Module()
    with cupy.cuda.Device(index):
        module.load(compile_cuda(read_source(source), arch, name=source, options=options))
    return module


def _argument(value: Any) -> Any:
    import numpy as np
    import torch

    return np.uint64(value.data_ptr()) if isinstance(value, torch.Tensor) else value
