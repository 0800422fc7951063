"""Warnings before a run: how the state of the machine will affect its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quantroof.analysis.trust import FOREIGN_CORES
from quantroof.finding import Finding, Level
from quantroof.hwprofiles.host_load import HostLoad
from quantroof.hwprofiles.types import Device

USELESS_CORES = 0.5
"""Foreign work beyond which every measurement of a CPU will be disturbed."""
LEAST_FREE_MEMORY = 0.05
STALLED_SHARE = 0.10
_WAIT = "wait until the machine is idle, or go on with --anyway"


def preflight(
    devices: Iterable[Device],
    load: HostLoad,
    foreign: Mapping[str, int],
    *,
    tolerated: bool = False,
) -> list[Finding]:
    """Findings about the machine. A `warning` makes the figures useless; `tolerated` lowers it to a note.

    `foreign` counts the other processes on each GPU by device id.
    """
    devices = list(devices)
    level: Level = "note" if tolerated else "warning"
    findings = []
    if any(device.kind == "cpu" for device in devices):
        findings += [*_cores(load, level), *_quota(load)]
    elif devices and load.busy_cores > load.cores - 1:
        text = f"other processes keep {load.busy_cores:.1f} of {load.cores} cores busy: launches may wait"
        findings.append(Finding("note", "host_load", text))
    findings += _memory(load, level)
    for device in devices:
        if count := foreign.get(device.id):
            text = f"{count} other processes are on {device.id}: its figures will be those of a shared GPU"
            findings.append(Finding(level, "foreign_process", text, _WAIT))
    return findings


def useless(findings: Iterable[Finding]) -> str | None:
    """Why a run that starts now could not be used, or None."""
    texts = [finding.text for finding in findings if finding.level == "warning"]
    return "; ".join(texts) or None


def _cores(load: HostLoad, level: Level) -> list[Finding]:
    average = f", load {load.load_average:.1f}" if load.load_average is not None else ""
    what = f"{load.cores} cores{average}, other processes keep {load.busy_cores:.1f} busy"
    if load.busy_cores > USELESS_CORES:
        return [Finding(level, "host_load", f"{what}: the CPU's figures will be disturbed", _WAIT)]
    if load.busy_cores > FOREIGN_CORES:
        return [Finding("note", "host_load", f"{what}: some of the CPU's figures will be disturbed")]
    return []


def _quota(load: HostLoad) -> list[Finding]:
    if load.quota_cores is None or load.quota_cores >= load.cores:
        return []
    text = f"a quota of {load.quota_cores:g} of {load.cores} cores: threads are stopped when it is used up"
    return [Finding("note", "cpu_quota", text)]


def _memory(load: HostLoad, level: Level) -> list[Finding]:
    if load.memory_stall is not None and load.memory_stall > STALLED_SHARE:
        text = f"processes wait for memory {load.memory_stall:.0%} of the time: figures will be disturbed"
        return [Finding(level, "memory_pressure", text, _WAIT)]
    if load.memory_free_share is not None and load.memory_free_share < LEAST_FREE_MEMORY:
        text = f"only {load.memory_free_share:.0%} of the host's memory is free: cases may be skipped or swap"
        return [Finding("note", "memory_pressure", text)]
    return []
