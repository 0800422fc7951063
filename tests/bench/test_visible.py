"""A worker sees its own device alone: MIG slices demand it, and neighbors stay free of contexts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.bench.workers import handle
from quantroof.bench.workers.handle import visible_only
from quantroof.hwprofiles.cuda_driver import CudaDevice, digits
from quantroof.hwprofiles.types import Device
from tests.builders import cpu_device, gpu_device


def test_a_gpu_is_named_by_its_uuid() -> None:
    """Ordinals depend on the parent's own environment; a UUID does not."""
    gpu = gpu_device(index=3)
    slice_of_it = replace(gpu, uuid="MIG-5a1e7c00-0000-4000-8000-000000000001", mig="1g.10gb")

    assert visible_only(gpu) == {"CUDA_VISIBLE_DEVICES": gpu.uuid}
    assert visible_only(slice_of_it) == {"CUDA_VISIBLE_DEVICES": slice_of_it.uuid}


def test_a_cpu_and_a_nameless_gpu_are_left_alone() -> None:
    """Without a UUID the ordinal is all there is."""
    nameless: Device = replace(gpu_device(), uuid=None)

    assert visible_only(cpu_device()) == {}
    assert visible_only(nameless) == {}


def test_a_gpu_that_cuda_knows_by_another_uuid_keeps_its_ordinal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its NVML name would hide it from the worker; a MIG slice is listed nowhere and needs its name."""
    gpu = gpu_device(index=3)
    known = {"00ff": CudaDevice(index=0, sm_count=132, l2_bytes=None, rated_clock_mhz=None)}
    monkeypatch.setattr(handle, "devices_by_uuid", lambda: known)

    assert visible_only(gpu) == {}
    assert visible_only(replace(gpu, mig="1g.10gb")) == {"CUDA_VISIBLE_DEVICES": gpu.uuid}
    known[digits(gpu.uuid or "")] = known["00ff"]
    assert visible_only(gpu) == {"CUDA_VISIBLE_DEVICES": gpu.uuid}
