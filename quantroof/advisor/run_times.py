"""The times of a run that advice may rest on: without impossible ones, with what they may not answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from quantroof.advisor.timings import TimingTable, table_of
from quantroof.analysis.trust import trust_of
from quantroof.analysis.winner import usable_lines
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.registry import load
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run
from quantroof.records.run import Imported


def run_table(run: Run, device: Device, formats: Iterable[str]) -> TimingTable:
    """The table of one device of a run, without impossible times, and with what it may not answer."""
    mine = [line for line in run.measurements if line.device == device.id]
    if run.info.imported is not None:  # the import set aside what the roofs do not allow
        return replace(table_of(mine, device.id), imported=_words(run.info.imported))
    trust = trust_of(mine, [ceiling for ceiling in run.ceilings if ceiling.device == device.id])
    table = table_of(usable_lines(run, device), device.id)
    timed = {name.partition("-g")[0] for name in table.points}
    absent = frozenset(name for name in formats if name not in timed and not _has_kernel(name, device))
    unusable = trust.words if trust.timed and not trust.usable else None
    return replace(table, unusable=unusable, without_kernel=absent if mine else frozenset())


def _words(imported: Imported) -> str:
    return f"{imported.framework}, from {imported.source} ({imported.version})"


def _has_kernel(name: str, device: Device) -> bool:
    """Whether a kernel here is made for a format on this device; formats that are only stored have none."""
    if name not in SCHEMES:
        return False
    case = Case.linear(SCHEMES[name], 1, 4096, 4096)
    return any(kernel.made_for(case, device) for kernel in load().kernels.values())
