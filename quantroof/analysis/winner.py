"""Which of several times wins: decided by their intervals and the roof guard, never by order alone.

Cards, tables, exports and the advisor use this module. An impossible time never wins. A time above its roof
without an explanation never wins alone, and overlapping intervals are ties. A time beside other processes
neither wins nor loses alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from quantroof.analysis.compiler import compiled_lines
from quantroof.analysis.guard import ABOVE_ROOF, IMPOSSIBLE, RoofGuard
from quantroof.analysis.points import Point
from quantroof.analysis.roofs import measured_roofs
from quantroof.analysis.statistics import Interval
from quantroof.analysis.trust import is_disturbed
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run
from quantroof.records.lines import Flag, Measurement

_DOUBTS = (IMPOSSIBLE, ABOVE_ROOF)  # RoofGuard.flags has the graver one first
_STATIC = "-static"  # activations arrive quantized: that cost lies outside the call, so it cannot win


@dataclass(frozen=True, slots=True)
class Candidate:
    """A time that may win; a doubtful one lies above its roof and needs a second that agrees."""

    time: Interval
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Winner:
    """The fastest candidate and those that tie with it, by name; `fastest` is None if nothing may win."""

    fastest: str | None
    ties: frozenset[str] = frozenset()

    @property
    def alone(self) -> str | None:
        """The winner where nothing ties with it."""
        return None if self.ties else self.fastest

    @property
    def leaders(self) -> tuple[str, ...]:
        """The fastest and those that tie with it."""
        return () if self.fastest is None else (self.fastest, *sorted(self.ties))


def decide(candidates: Mapping[str, Candidate], lead_by: float = 0.0) -> Winner:
    """The winner among times: ties are those whose interval reaches that of the fastest.

    `lead_by` is the share by which the fastest must lead besides; see Trust.
    """
    if not candidates:
        return Winner(None)
    ranked = sorted(candidates, key=lambda name: (candidates[name].time.median, name))
    first = candidates[ranked[0]]
    reach = first.time.high * (1 + lead_by)
    ties = {name for name in ranked[1:] if candidates[name].time.low <= reach}
    if first.doubtful and all(candidates[name].doubtful for name in ties):
        sound = next((name for name in ranked if not candidates[name].doubtful), None)
        if sound is None:
            return Winner(None)
        ties.add(sound)
    return Winner(ranked[0], frozenset(ties))


def can_win(scheme: str) -> bool:
    """False for a scheme whose activations arrive quantized: the cost of that is not in its time."""
    return _STATIC not in scheme


def may_win(point: Point) -> bool:
    """Whether the time of a point counts: it is finite, and no bound of the device rules it out."""
    if point.time is None or not all(map(math.isfinite, (point.time.low, point.time.high))):
        return False
    return all(flag.code != IMPOSSIBLE for flag in point.flags)


def candidate(points: Iterable[Point]) -> Candidate | None:
    """The summed time of one point or of several layers; None if one of them may not win."""
    points = list(points)
    if not points or not all(map(may_win, points)):
        return None
    doubtful = any(flag.code == ABOVE_ROOF for point in points for flag in point.flags)
    time = summed(points)
    if any(is_disturbed(point.measurement) for point in points):  # alone it might be any faster
        return Candidate(replace(time, low=0.0), doubtful=True)
    return Candidate(time, doubtful)


def winner(best: Mapping[str, list[Point]], lead_by: float) -> Winner:
    """The winner among schemes, each with its best point of every layer; `lead_by` as in `decide`."""
    entries = {name: candidate(points) for name, points in best.items() if can_win(name)}
    return decide({name: entry for name, entry in entries.items() if entry is not None}, lead_by)


def doubts(run: Run, device: Device) -> list[tuple[Measurement, Flag | None]]:
    """The measurements of a device, each with the flag that says why its time may not win, if any."""
    mine = compiled_lines(run, device)
    profile = run.info.profiles.get(device.id)
    measured = measured_roofs(device.id, run.ceilings, mine, profile)
    guard = RoofGuard(measured, device, profile)
    flagged = ((line, guard.flags(line)) for line in mine)
    return [(line, next((f for f in flags if f.code in _DOUBTS), None)) for line, flags in flagged]


def usable_lines(run: Run, device: Device) -> list[Measurement]:
    """The measurements of a device without those that no bound of it allows."""
    return [line for line, doubt in doubts(run, device) if doubt is None or doubt.code != IMPOSSIBLE]


def summed(points: list[Point]) -> Interval:
    """Sum of times; the distances of independent sums to their limits add in squares (Zou & Donner 2008)."""
    times = [point.time for point in points if point.time is not None]
    if len(times) == 1:
        return times[0]
    center = sum(time.median for time in times)
    down = math.hypot(*(time.median - time.low for time in times))
    up = math.hypot(*(time.high - time.median for time in times))
    return Interval(center, center - down, center + up, min(time.samples for time in times))
