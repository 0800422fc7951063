"""The look at the machine before something is measured on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quantroof.cli.output import note
from quantroof.errors import EnvironmentMissing

if TYPE_CHECKING:
    from quantroof.finding import Finding
    from quantroof.hwprofiles.types import Device


def tolerated(*, anyway: bool) -> bool:
    """Whether a busy machine is measured and marked: the user asked for it, or this is a CI machine."""
    return anyway or bool(os.environ.get("CI"))


def machine_findings(devices: Sequence[Device], *, anyway: bool = False) -> list[Finding]:
    """What load, memory, quota and foreign GPU processes will do to the figures; nothing for simulations."""
    from quantroof.analysis.preflight import preflight
    from quantroof.hwprofiles.host_load import host_load

    real = [device for device in devices if device.kind != "sim"]
    if not real:
        return []
    return preflight(real, host_load(), _foreign(real), tolerated=tolerated(anyway=anyway))


def machine_check(devices: Sequence[Device], *, anyway: bool) -> None:
    """Print the findings; EnvironmentMissing where nothing can be measured, or to no use."""
    from quantroof.analysis.preflight import useless

    require_torch(devices)
    findings = machine_findings(devices, anyway=anyway)
    reason = useless(findings)
    if reason is not None:
        raise EnvironmentMissing(reason, hint="wait until the machine is idle, or go on with --anyway")
    for finding in findings:
        note(f"{finding.level}: {finding.text}")


def require_torch(devices: Sequence[Device]) -> None:
    """EnvironmentMissing without torch, before a worker would fail on it and a run directory be made."""
    from importlib.util import find_spec

    from quantroof.cli.library_checks import missing_torch

    if any(device.kind != "sim" for device in devices) and find_spec("torch") is None:
        check = missing_torch(gpu=any(device.kind == "cuda" for device in devices))
        raise EnvironmentMissing(check.text, hint=check.hint)


def _foreign(devices: Sequence[Device]) -> dict[str, int]:
    """How many processes of others are on each GPU."""
    from quantroof.hwprofiles.nvml import Board

    counts = {}
    for device in devices:
        board = Board.of(device) if device.kind == "cuda" else None
        processes = board.health().process_ids if board else None
        counts[device.id] = sum(pid != os.getpid() for pid in processes or ())
    return counts
