"""How much memory a case needs and how much is available; a case that does not fit is skipped."""

from __future__ import annotations

import psutil

from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import CallCase, Case

CACHE_MULTIPLE = 3  # an LRU cache keeps nothing of a cycle this long, even where replacement is imperfect
# Of what is free now, the share one case may take: the host needs room for the library's own workspaces.
_SHARE = 0.8
_FP32, _FP64 = 4, 8


def need_bytes(case: Case, device: Device) -> int:
    """Peak bytes of a case: fp32 sources, fp64 reference with its dequantized weights, rotated copies."""
    if isinstance(case, CallCase):
        # The arguments, the outputs, and a reference of both in fp64, where an element has a byte or more.
        return (2 + 2 * _FP64) * case.bytes_moved + max(2 * case.bytes_moved, _rotation_bytes(device))
    weights, activations, outputs = case.weight_rows * case.k, case.activation_rows * case.k, case.m * case.n
    sources = _FP32 * (weights + activations)
    # Dequantizing holds the fp64 codes and their product with the scales at once.
    reference = _FP64 * (2 * weights + 2 * activations + 3 * outputs)
    return sources + reference + max(2 * case.weight_bytes, _rotation_bytes(device))


def _rotation_bytes(device: Device) -> int:
    return CACHE_MULTIPLE * (device.llc_bytes or 0)


def available_bytes(device: Device) -> int:
    """Bytes a case may use: free host memory for a CPU; for a GPU its whole memory, as only we use it.

    A GPU that does not report its memory may share the host's: the smaller of that and its profile's.
    """
    if device.processor == "cpu":
        free = psutil.virtual_memory().available
        total = min(free, device.memory_bytes) if device.memory_bytes else free
        return int(total * _SHARE)
    if device.memory_bytes is not None:
        return int(device.memory_bytes * _SHARE)
    profile = catalog.match(device)
    free = psutil.virtual_memory().available
    return int((free if profile is None else min(free, profile.memory_bytes)) * _SHARE)


def shortage(case: Case, device: Device) -> str | None:
    """Why a case does not fit, with its need in bytes, or None if it fits."""
    need, available = need_bytes(case, device), available_bytes(device)
    if need <= available:
        return None
    return f"needs {need} bytes of memory, {available} are available"
