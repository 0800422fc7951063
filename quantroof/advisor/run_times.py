"""The times of a run that advice may use: impossible ones removed, each with its limits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from quantroof.advisor.layer_times import layer_times
from quantroof.advisor.own_experts import product_times
from quantroof.advisor.timings import TimingTable, is_cold, table_of
from quantroof.analysis.case_time import median_ns
from quantroof.analysis.trust import trust_of
from quantroof.analysis.winner import usable_lines
from quantroof.hwprofiles.published import best_seen
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.registry import load
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run
from quantroof.records.lines import Measurement
from quantroof.records.run import Imported


def run_table(run: Run, device: Device, formats: Iterable[str]) -> TimingTable:
    """The table of one device of a run, without impossible times, and with what it may not answer."""
    mine = [line for line in run.measurements if line.device == device.id]
    if run.info.imported is not None:  # the import set aside what the roofs do not allow
        bandwidth = _dram(run, device)
        mine = [line for line in mine if _from_memory(line, bandwidth)]
        table = table_of(mine, device.id, warm=True)
        layers = layer_times(mine, run.ceilings, device.id)
        return replace(table, imported=_words(run.info.imported), layers=layers)
    trust = trust_of(mine, [ceiling for ceiling in run.ceilings if ceiling.device == device.id])
    usable = usable_lines(run, device)
    table = table_of(usable, device.id)
    layers = layer_times((line for line in usable if is_cold(line)), run.ceilings, device.id)
    timed = {name.partition("-g")[0] for name in table.points}
    absent = frozenset(name for name in formats if name not in timed and not _has_kernel(name, device))
    unusable = trust.words if trust.timed and not trust.usable else None
    absent = absent if mine else frozenset()
    products = product_times((line for line in usable if is_cold(line)), device.id)
    return replace(table, unusable=unusable, without_kernel=absent, layers=layers, products=products)


def _dram(run: Run, device: Device) -> float:
    """Bytes per second that no memory of this GPU exceeds: the best published, else the datasheet."""
    seen = best_seen(device.profile_id or "").get("DRAM")
    if seen is not None:
        return seen.best * 1e9
    profile = run.info.profiles.get(device.id)
    return profile.bandwidth_bytes_per_s if profile else math.inf


def _from_memory(line: Measurement, bandwidth: float) -> bool:
    """Whether an imported time is cold, or at least long enough for its bytes to have come from memory."""
    if line.status != "imported" or line.timing is None:
        return False
    return is_cold(line) or line.bytes_moved / bandwidth <= median_ns(line.timing) / 1e9


def _words(imported: Imported) -> str:
    return f"{imported.framework}, from {imported.source} ({imported.version})"


def _has_kernel(name: str, device: Device) -> bool:
    """Whether a kernel here is made for a format on this device; formats that are only stored have none."""
    if name not in SCHEMES:
        return False
    case = Case.linear(SCHEMES[name], 1, 4096, 4096)
    return any(kernel.made_for(case, device) for kernel in load().kernels.values())
