"""NVML's devices joined with torch's by UUID, to report before a run which ones torch cannot use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quantroof.hwprofiles.cuda_driver import CudaDevice, digits
from quantroof.hwprofiles.detect import join
from quantroof.hwprofiles.types import Device


def join_with_torch(devices: Sequence[Device]) -> tuple[tuple[Device, ...], tuple[str, ...]]:
    """The devices with torch's ordinals, SM counts and L2 sizes, and a sentence for each one torch lacks.

    Imports torch; ImportError if it is missing. Devices other than GPUs are returned unchanged.
    """
    import torch

    gpus = [device for device in devices if device.kind == "cuda"]
    seen = _seen_by(torch)
    others = [device for device in devices if device.kind != "cuda"]
    return (*join(gpus, seen), *others), _lacking(torch, gpus, seen)


def _lacking(torch: Any, gpus: Sequence[Device], seen: Mapping[str, CudaDevice]) -> tuple[str, ...]:
    if gpus and not seen:
        why = "its CUDA does not start here" if torch.version.cuda else "it was built without CUDA"
        return (f"torch {torch.__version__} sees none of the GPUs: {why}",)
    # A process sees one MIG slice at most; a worker is given its own by UUID.
    unseen = [gpu for gpu in gpus if gpu.mig is None and digits(gpu.uuid or "") not in seen]
    return tuple(f"torch {torch.__version__} does not see {gpu.id} ({gpu.name})" for gpu in unseen)


def _seen_by(torch: Any) -> dict[str, CudaDevice]:
    if not torch.cuda.is_available():
        return {}
    found = {}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        khz = getattr(properties, "clock_rate", None)  # since torch 2.9
        found[digits(str(properties.uuid))] = CudaDevice(
            index=index,
            sm_count=properties.multi_processor_count,
            l2_bytes=getattr(properties, "L2_cache_size", None),
            rated_clock_mhz=None if khz is None else round(khz / 1000),
        )
    return found
