"""The results of every device of every run: its roofs, ceilings and points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from quantroof.analysis.case_time import grouped
from quantroof.analysis.compiler import Compiler, compiled_lines, compiler_of
from quantroof.analysis.guard import RoofGuard
from quantroof.analysis.points import CaseRoofs, Point, case_roofs, point, representative
from quantroof.analysis.roofs import Roofs, ceiling_rate, datasheet_roofs, measured_roofs
from quantroof.analysis.trust import Trust, trust_of
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Device, HardwareProfile
from quantroof.records.directory import Run
from quantroof.records.lines import Ceiling


@dataclass(frozen=True, slots=True)
class DeviceResults:
    """One device of one run. `label` is unique in the report; the rest is what was measured on it."""

    label: str
    run: Run
    device: Device
    profile: HardwareProfile | None
    measured: Roofs
    datasheet: Roofs | None
    held: Roofs | None
    ceilings: tuple[Ceiling, ...]
    points: tuple[Point, ...]
    trust: Trust
    compiler: Compiler

    @property
    def timed(self) -> tuple[Point, ...]:
        """The points that have a time."""
        return tuple(p for p in self.points if p.time is not None)


def device_results(runs: list[Run]) -> list[DeviceResults]:
    """All devices of the runs, in order; UsageError for lines that no report can show."""
    for run in runs:
        _check(run)
    several = len(runs) > 1
    return [
        _device_results(run, device, f"{run.info.run_id} {device.id}" if several else device.id)
        for run in runs
        for device in run.info.devices
    ]


def _check(run: Run) -> None:
    listed = {device.id for device in run.info.devices}
    named = [*(c.device for c in run.ceilings), *(m.device for m in run.measurements)]
    for device in dict.fromkeys(named):
        if device not in listed:
            raise UsageError(
                f"a line names device '{device}', which the header does not list", where=str(run.path)
            )
    for m in run.measurements:
        least = 0 if m.parsed_case.operation == "call" else 1  # a copy of one's own multiplies nothing
        if m.flops < least or m.bytes_moved <= 0:
            raise UsageError(f"a measurement of {m.case} has no operations or no bytes", where=str(run.path))


def _device_results(run: Run, device: Device, label: str) -> DeviceResults:
    profile = run.info.profiles.get(device.id)
    ceilings = tuple(c for c in run.ceilings if c.device == device.id)
    mine = compiled_lines(run, device)
    measured = measured_roofs(device.id, ceilings, mine, profile)
    datasheet = datasheet_roofs(profile) if profile else None
    curve = bandwidth_curve(ceilings, "read")
    by_case: dict[tuple[str, str | None], CaseRoofs] = {}
    points = []
    guard = RoofGuard(measured, device, profile)
    for lines in grouped(mine).values():
        line = representative(lines)
        key = line.case, line.computes
        if key not in by_case:
            sized = bandwidth_at(curve, line.bytes_moved)
            by_case[key] = case_roofs(
                line.parsed_case, measured, datasheet, sized, device.compute_capability, line.computes
            )
        points.append(point(lines, by_case[key], guard.flags(line)))
    held = held_roofs(profile, ceilings, measured) if profile else None
    return DeviceResults(
        label, run, device, profile, measured, datasheet, held, ceilings, tuple(points),
        trust_of(mine, ceilings, [point.time for point in points]), compiler_of(run, device),
    )  # fmt: skip


def bandwidth_curve(ceilings: tuple[Ceiling, ...], name: str) -> list[tuple[int, float]]:
    """(bytes, bytes/s) of the best read, write or copy at every size, by size; small ones are slower."""
    best: dict[int, float] = {}
    for ceiling in ceilings:
        reached, size = ceiling_rate(ceiling), ceiling.bytes_moved
        if ceiling.quantity == "bandwidth" and ceiling.name == name and reached and size:
            best[size] = max(best.get(size, 0.0), reached)
    return sorted(best.items())


def bandwidth_at(curve: list[tuple[int, float]], size: int) -> float | None:
    """Bandwidth at a size, None outside the measured sizes.

    The time is interpolated linearly in bytes, which is exact for a latency plus bytes / rate.
    """
    if len(curve) < 2 or not curve[0][0] <= size <= curve[-1][0]:
        return None
    for (low, low_rate), (high, high_rate) in pairwise(curve):
        if low <= size <= high:
            share = (size - low) / (high - low)
            seconds = (1 - share) * low / low_rate + share * high / high_rate
            return size / seconds
    return None


def held_roofs(profile: HardwareProfile, ceilings: tuple[Ceiling, ...], measured: Roofs) -> Roofs | None:
    """Datasheet matrix peaks scaled to the clock that each matrix ceiling held, where both are known."""
    matrix: dict[str, float] = {}
    for ceiling in ceilings:
        clock = ceiling.state.sm_clock_mhz if ceiling.state else None
        peak = profile.peak(ceiling.name)
        if ceiling.quantity != "matrix" or clock is None or peak is None or peak.clock_mhz is None:
            continue
        at_clock = peak.flops_per_s * clock / peak.clock_mhz
        if math.isfinite(at_clock):
            matrix[ceiling.name] = max(matrix.get(ceiling.name, 0.0), at_clock)
    return Roofs("datasheet", dict(measured.bandwidth), matrix) if matrix else None
