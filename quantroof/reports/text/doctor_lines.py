"""What doctor finds: devices, libraries and checks, as colored lines and as one document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.reports.text.fleet_words import plural
from quantroof.reports.text.table import literal

if TYPE_CHECKING:
    from rich.text import Text

    from quantroof.finding import Finding
    from quantroof.hwprofiles.detect import Detection
    from quantroof.hwprofiles.nvml import BoardHealth
    from quantroof.hwprofiles.types import Device

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow"}


@dataclass(frozen=True, slots=True)
class Examination:
    """One device with its board's readings and what was noticed about it."""

    device: Device
    health: BoardHealth | None
    checks: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything doctor looked at. Without `measurable` no library can measure anything here."""

    detection: Detection
    versions: dict[str, str]
    libraries: Sequence[Finding]
    devices: Sequence[Examination]
    measurable: bool
    machine: Sequence[Finding] = ()
    """What else runs on this machine, and what it will do to the figures."""
    optional: Sequence[Finding] = ()
    """Optional packages that are missing, with what needs them."""

    @property
    def warnings(self) -> int:
        """How many checks are warnings."""
        checks = [*self.libraries, *self.machine, *(check for one in self.devices for check in one.checks)]
        return sum(check.level == "warning" for check in checks)


def diagnosis_lines(diagnosis: Diagnosis) -> Iterator[Text]:
    """Every device with its checks, the libraries, and whether this machine can be measured."""
    for one in diagnosis.devices:
        yield literal(headline(one.device), style="bold")
        yield from map(_check, one.checks)
    yield from map(literal, diagnosis.detection.remarks)
    yield literal(", ".join(f"{name} {version}" for name, version in diagnosis.versions.items()))
    yield from map(_check, diagnosis.libraries)
    if diagnosis.optional:
        yield literal("optional packages that are not installed")
        yield from map(_check, diagnosis.optional)
    yield from map(_check, diagnosis.machine)
    gpus = len(diagnosis.detection.gpus)
    subject = f"{plural(gpus, 'GPU')} and the CPU" if gpus else "the CPU"
    able = "can" if diagnosis.measurable else "cannot"
    yield literal(f"{subject} {able} be measured, {plural(diagnosis.warnings, 'warning')}")


def diagnosis_document(diagnosis: Diagnosis) -> dict[str, Any]:
    """The same as data."""
    return {
        "remarks": list(diagnosis.detection.remarks),
        "versions": diagnosis.versions,
        "checks": msgspec.to_builtins(diagnosis.libraries),
        "optional": msgspec.to_builtins(diagnosis.optional),
        "machine": msgspec.to_builtins(diagnosis.machine),
        "devices": [
            {
                "id": one.device.id,
                "device": msgspec.to_builtins(one.device),
                "state": msgspec.to_builtins(one.health),
                "checks": msgspec.to_builtins(one.checks),
            }
            for one in diagnosis.devices
        ],
    }


def _check(check: Finding) -> Text:
    hint = f"   hint: {check.hint}" if check.hint else ""
    line = literal("  ").append(literal(f"{check.level:7}", style=_STYLES[check.level]))
    return line.append(literal(f"  {check.text}{hint}"))


def headline(device: Device) -> str:
    """One line: what it is, how large, how it is set. What was not reported is left out."""
    parts = _cpu(device) if device.processor == "cpu" else _gpu(device)
    return "  ".join([f"{device.id:7}", device.name, *parts])


def _cpu(device: Device) -> list[str]:
    cpu = device.cpu
    parts = []
    if cpu is not None:
        parts.append(f"{cpu.usable_cores} usable cores")
        if cpu.l3_bytes is not None:
            parts.append(f"L3 {cpu.l3_bytes / (1 << 20):.0f} MiB")
    if device.memory_bytes is not None:
        parts.append(f"{device.memory_bytes / (1 << 30):.1f} GiB")
    if cpu is not None and cpu.isa:
        parts.append(" ".join(cpu.isa))
    return parts


def _gpu(device: Device) -> list[str]:
    parts = []
    if device.compute_capability is not None:
        parts.append(f"compute capability {device.compute_capability}")
    if device.sm_count is not None:
        parts.append(f"{device.sm_count} SMs")
    if device.memory_bytes is not None:
        parts.append(f"{device.memory_bytes / (1 << 30):.1f} GiB")
    if device.driver is not None:
        parts.append(f"driver {device.driver}")
    if device.power_limit_w is not None:
        parts.append(f"{device.power_limit_w:.0f} W")
    if device.ecc is not None:
        parts.append(f"ECC {'on' if device.ecc else 'off'}")
    if device.mig is not None:
        parts.append(f"MIG {device.mig}")
    return parts
