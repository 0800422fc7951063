"""The GPU figures that predict a step: memory, bandwidth, matrix rates, and where each comes from."""

from __future__ import annotations

import msgspec

from quantroof.advisor.links import Link, link_of, measured_link
from quantroof.analysis.roofs import RoofBasis, Roofs, datasheet_roofs, measured_roofs
from quantroof.errors import UsageError
from quantroof.hwprofiles import roofline
from quantroof.hwprofiles.compute import not_nvidia
from quantroof.hwprofiles.types import Device, HardwareProfile
from quantroof.kernels.cases import Case
from quantroof.records.directory import Run

# The first compute capability whose matrix instructions multiply fp8: Ada (8.9), then Hopper (9.0).
_FP8_CAPABILITY = (8, 9)
# INT8 rates of B300 and GB300 are a thirtieth of B200's; vLLM refuses INT8 W8A8 from here on.
_NO_INT8_CAPABILITY = (10, 0)


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes or operations per second, and whether this device was measured or the datasheet is quoted."""

    value: float
    basis: RoofBasis


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU (or the CPU) of a node. `matrix` maps an element type to its dense rate; unknown is absent."""

    id: str
    name: str
    memory_bytes: float
    bandwidth: Rate
    matrix: dict[str, Rate]
    capability: tuple[int, int] | None = None
    link: Link | None = None
    is_gpu: bool = True
    simulated: bool = False

    @property
    def multiplies_fp8(self) -> bool | None:
        """Whether the matrix instructions of its compute capability take fp8; None if it has none."""
        return None if self.capability is None else self.capability >= _FP8_CAPABILITY

    @property
    def int8_refused(self) -> bool:
        """Whether vLLM refuses INT8 W8A8 on its compute capability."""
        return self.capability is not None and self.capability >= _NO_INT8_CAPABILITY

    def count(self, number: int) -> str:
        """How many of it, in words: `1 GPU`, `4 GPUs`; a CPU stands alone."""
        if not self.is_gpu:
            return "this CPU"
        return f"{number} GPU{'s' if number > 1 else ''}"

    def compute_name(self, element: str) -> str:
        """What products of an element run in: engines serve in fp16 where there is no bf16 matrix unit."""
        if element == "bf16" and element not in self.matrix and "fp16" in self.matrix:
            return "fp16"
        return element

    def rate(self, element: str) -> Rate | None:
        """The dense rate of an element type, None if the device has none that is known."""
        return self.matrix.get(self.compute_name(element))

    def roof_seconds(self, flops: float, bytes_moved: float, element: str) -> float | None:
        """Attainable time of some work; None if the element's rate is unknown."""
        rate = self.rate(element)
        if rate is None:
            return None
        return roofline.attainable_seconds(flops, bytes_moved, rate.value, self.bandwidth.value)

    def bound(self, case: Case) -> roofline.Bound | None:
        """Which roof a case meets first."""
        rate = self.rate(case.compute.name)
        if rate is None:
            return None
        return roofline.bound(case.flops, case.bytes_moved, rate.value, self.bandwidth.value)


def from_profile(profile: HardwareProfile) -> Machine:
    """A machine by its vendor's figures."""
    major, _, minor = profile.compute_capability.partition(".")
    capability = (int(major), int(minor or 0)) if major.isdigit() else None
    sheet = datasheet_roofs(profile)
    return Machine(
        id=profile.id,
        name=profile.device_names[0] if profile.device_names else profile.id,
        memory_bytes=profile.memory_bytes,
        bandwidth=Rate(value=profile.bandwidth_bytes_per_s, basis="datasheet"),
        matrix={name: Rate(value=value, basis="datasheet") for name, value in sheet.matrix.items()},
        capability=capability,
        link=link_of(profile.id),
    )


def from_run(run: Run, device: Device) -> Machine:
    """A machine as a run saw it: its measured ceilings, the datasheet only where none was measured."""
    measured = measured_roofs(device.id, run.ceilings)
    profile = run.info.profiles.get(device.id) or run.info.profiles.get(device.profile_id or "")
    sheet = datasheet_roofs(profile) if profile else Roofs("datasheet")
    read, sheet_read = measured.read_bandwidth(), sheet.read_bandwidth()
    if read is None and sheet_read is None:
        hint = "name a profile with --gpu, or repeat the run with ceilings"
        raise UsageError(
            f"the bandwidth of {device.name} is neither measured nor known", where=str(run.path), hint=hint
        )
    bandwidth = (
        Rate(value=read, basis="measured") if read else Rate(value=sheet_read or 0.0, basis="datasheet")
    )
    return Machine(
        id=device.profile_id or device.id,
        name=device.name,
        memory_bytes=device.memory_bytes or (profile.memory_bytes if profile else 0.0),
        bandwidth=bandwidth,
        matrix={
            **{name: Rate(value=value, basis="datasheet") for name, value in sheet.matrix.items()},
            **{name: Rate(value=value, basis="measured") for name, value in measured.matrix.items()},
        },
        capability=None if device.capability and not_nvidia(device.capability) else device.capability,
        link=measured_link(run.ceilings, device)
        or (link_of(device.profile_id) if device.profile_id else None),
        is_gpu=device.processor == "gpu",
        simulated=run.info.simulated,
    )


def device_of(run: Run, wanted: str | None) -> Device:
    """The device of a run that is asked for by profile id, device id or name; the only one without a name."""
    devices = run.info.devices
    if wanted is None:
        if len({d.name for d in devices}) > 1:
            names = ", ".join(d.id for d in devices)
            raise UsageError(
                f"holds several devices: {names}", where=str(run.path), hint="name one with --gpu"
            )
        return devices[0]
    for device in devices:
        if wanted in (device.profile_id, device.id, device.name):
            return device
    names = ", ".join(f"{d.id} ({d.profile_id or d.name})" for d in devices)
    raise UsageError(f"was not measured on '{wanted}'", where=str(run.path), hint=f"it holds {names}")
