"""One function against others on the same case: which is faster, by how much, and how close to the roof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point
from quantroof.analysis.winner import Candidate, candidate, decide, may_win

RaceOutcome = Literal["faster", "slower", "tie", "alone", "unknown", "unmeasured"]


@dataclass(frozen=True, slots=True)
class Race:
    """One case of one device. `mine` is the first function of its plan, `other` the best of the rest.

    `ratio` is how many times the faster one is faster; absent unless both have a time that counts. `reason`
    explains `unknown` and `unmeasured`.
    """

    device: str
    mine: Point
    other: Point | None
    outcome: RaceOutcome
    ratio: float | None = None
    reason: str | None = None


def races(results: DeviceResults) -> list[Race]:
    """The races of a device in the order of its plan: every case of a user's own function."""
    points = {(point.measurement.case, point.measurement.kernel): point for point in results.points}
    planned: dict[str, list[Point]] = {}
    for device, case, kernel in results.run.info.plan:
        point = points.get((case, kernel))
        if device == results.device.id and point is not None and point.case.operation == "call":
            planned.setdefault(case, []).append(point)
    return [_race(results, own[0], own[1:]) for own in planned.values()]


def _race(results: DeviceResults, mine: Point, rivals: list[Point]) -> Race:
    label = results.label
    timed = [rival for rival in rivals if may_win(rival)]
    other = min(timed, key=_median, default=None)
    if mine.time is None:
        return Race(label, mine, other, "unmeasured", reason=mine.measurement.reason)
    if results.trust.lead_by is None:
        return Race(label, mine, other, "unknown", reason=results.trust.words)
    if not may_win(mine):
        flags = "; ".join(flag.text for flag in mine.flags)
        return Race(label, mine, other, "unknown", reason=flags)
    if other is None:
        return Race(label, mine, None, "alone")
    entries = {name: _candidate(point) for name, point in (("mine", mine), ("other", other))}
    leaders = decide(entries, results.trust.lead_by).leaders
    if not leaders:
        return Race(label, mine, other, "unknown", reason="both times lie above their roof")
    ours, theirs = _median(mine), _median(other)
    ratio = max(ours, theirs) / min(ours, theirs)
    if len(leaders) > 1:
        return Race(label, mine, other, "tie", ratio)
    return Race(label, mine, other, "faster" if leaders[0] == "mine" else "slower", ratio)


def _candidate(point: Point) -> Candidate:
    made = candidate([point])
    assert made is not None, "its time may win"
    return made


def _median(point: Point) -> float:
    assert point.time is not None
    return point.time.median
