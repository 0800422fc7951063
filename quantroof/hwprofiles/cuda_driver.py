"""Devices as CUDA lists them, read from libcuda by ctypes: ordinal, SM count, L2, rated clock, by UUID.

NVML has none of these. This is the library that torch asks, so its ordinals are torch's; asking it directly
keeps torch out of the process, and cuInit makes no context on any GPU.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

# CUdevice_attribute (cuda.h)
_CLOCK_KHZ, _SM_COUNT, _L2_BYTES = 13, 16, 38


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """One device as CUDA numbers it; None for what the driver does not report."""

    index: int
    sm_count: int | None
    l2_bytes: int | None
    rated_clock_mhz: int | None


def devices_by_uuid() -> dict[str, CudaDevice]:
    """Every device this process sees, by the digits of its UUID; empty without a driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return {}
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return {}
    found = (_device(cuda, ordinal) for ordinal in range(count.value))
    return {uuid: device for uuid, device in found if uuid is not None}


def digits(uuid: str) -> str:
    """A UUID without its prefix (`GPU-`, `MIG-`) and dashes, to compare what two libraries print."""
    return uuid.lower().removeprefix("gpu-").removeprefix("mig-").replace("-", "")


def _device(cuda: ctypes.CDLL, ordinal: int) -> tuple[str | None, CudaDevice]:
    handle, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
    if cuda.cuDeviceGet(ctypes.byref(handle), ordinal):
        return None, CudaDevice(ordinal, None, None, None)
    # The second version names a MIG slice; drivers before R470 have the first one only.
    ask_uuid = getattr(cuda, "cuDeviceGetUuid_v2", None) or cuda.cuDeviceGetUuid
    uuid = None if ask_uuid(ctypes.byref(raw), handle) else bytes(raw).hex()
    sms, l2, khz = (_attribute(cuda, a, handle) for a in (_SM_COUNT, _L2_BYTES, _CLOCK_KHZ))
    return uuid, CudaDevice(ordinal, sms, l2, None if khz is None else round(khz / 1000))


def _attribute(cuda: ctypes.CDLL, attribute: int, handle: ctypes.c_int) -> int | None:
    value = ctypes.c_int()
    failed = cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle)
    return None if failed or value.value <= 0 else value.value
