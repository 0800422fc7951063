"""Detect this machine's devices: NVIDIA GPUs in CUDA's order, and the CPU. Needs neither torch nor a GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from quantroof.finding import Finding
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.cpu import cpu_device
from quantroof.hwprofiles.cuda_driver import CudaDevice, devices_by_uuid, digits
from quantroof.hwprofiles.gpus import PhysicalGpu, physical_gpus
from quantroof.hwprofiles.nvml import NvmlUnavailable
from quantroof.hwprofiles.types import Device
from quantroof.hwprofiles.visible import usable, visible


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """The devices, GPUs first and the CPU last, and remarks on how they were detected.

    `faults` are GPUs that do not answer and a driver that does not start.
    """

    devices: tuple[Device, ...]
    remarks: tuple[str, ...] = ()
    faults: tuple[Finding, ...] = ()

    @property
    def gpus(self) -> tuple[Device, ...]:
        """The NVIDIA devices that this process may use."""
        return tuple(device for device in self.devices if device.kind == "cuda")


def detect(environment: Mapping[str, str] | None = None) -> Detection:
    """Find every device. A missing driver is a remark, not an error.

    `environment` stands in for this process's CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER.
    """
    found, remarks, faults = _nvidia(os.environ if environment is None else environment)
    if Path("/dev/kfd").exists():
        remarks.append("there is an AMD GPU (/dev/kfd); only NVIDIA GPUs and the CPU are measured")
    return Detection(devices=(*found, cpu_device()), remarks=tuple(remarks), faults=faults)


def _nvidia(
    environment: Mapping[str, str],
) -> tuple[tuple[Device, ...], list[str], tuple[Finding, ...]]:
    try:
        boards, lost = physical_gpus()
    except NvmlUnavailable as reason:
        text = str(reason)
        faults = (Finding("warning", "driver", text, "nvidia-smi shows what it needs"),)
        return (), [text], faults if reason.broken else ()
    if not boards:
        return (), [lost[0].text if lost else "the NVIDIA driver runs and lists no GPU"], lost
    devices = join(visible(boards, environment), devices_by_uuid())
    remarks = _remarks(boards, devices, environment)
    return tuple(_with_profile(device) for device in devices), remarks, lost


def join(devices: Sequence[Device], cuda: Mapping[str, CudaDevice]) -> tuple[Device, ...]:
    """Give the devices CUDA's own numbers, SM counts and L2 sizes, by UUID.

    The order changes only where CUDA knows every device: one process sees a single MIG slice of many.
    """
    joined = []
    matches = [cuda.get(digits(device.uuid or "")) for device in devices]
    complete = all(match is not None for match in matches)
    for device, match in zip(devices, matches, strict=True):
        if match is None:
            joined.append(device)
            continue
        numbered = replace(
            device,
            index=match.index if complete else device.index,
            sm_count=match.sm_count or device.sm_count,
            llc_bytes=match.l2_bytes or device.llc_bytes,
            rated_sm_clock_mhz=match.rated_clock_mhz,
        )
        joined.append(numbered)
    return tuple(sorted(joined, key=lambda device: device.index))


def _remarks(
    boards: Sequence[PhysicalGpu], devices: Sequence[Device], environment: Mapping[str, str]
) -> list[str]:
    remarks = [
        f"{board.device.name}: MIG is on and has no slice (nvidia-smi mig -cgi makes one)"
        for board in boards
        if board.slices == ()
    ]
    total = sum(len(usable(board)) for board in boards)
    if len(devices) < total and (text := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        remarks.append(f"CUDA_VISIBLE_DEVICES='{text}' shows {len(devices)} of {total} NVIDIA devices")
    return remarks


def _with_profile(device: Device) -> Device:
    """Name the catalog's profile; its L2 stands in where CUDA did not give one."""
    profile = catalog.match(device)
    if profile is None:
        return device
    l2 = None if profile.l2_mb is None else round(profile.l2_mb * (1 << 20))
    return replace(device, profile_id=profile.id, llc_bytes=device.llc_bytes or l2)
