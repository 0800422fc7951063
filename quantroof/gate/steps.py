"""The runs at which levels of a history moved, each with one sentence: what changed there, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantroof.analysis.cause import summary
from quantroof.analysis.comparison import FLOOR, CaseChange, RunComparison
from quantroof.analysis.device_results import DeviceResults, device_results
from quantroof.analysis.statistics import Interval
from quantroof.analysis.verdicts import Change
from quantroof.gate.change_points import ChangePoint
from quantroof.gate.history import Trend, device_label
from quantroof.gate.times import Key, RunTimes
from quantroof.units import change

NOT_HERE = "the runs on both sides are needed to look for a cause"


@dataclass(frozen=True, slots=True)
class Step:
    """From `run` on, `cases` of a device have another level; `before` is the last run of the old one."""

    device: str
    before: str
    run: str
    started_at: str
    git: str | None
    cases: int
    sentence: str

    @property
    def words(self) -> str:
        """The sentence with where it begins."""
        revision = f", {self.git[:12]}" if self.git else ""
        return f"{self.device}, from {self.run}{revision}: {self.sentence}"


def steps(trends: Sequence[Trend], runs: Sequence[RunTimes]) -> list[Step]:
    """Every run at which a level moved, the one with the most cases first."""
    by_run: dict[tuple[str, ...], list[tuple[Trend, ChangePoint]]] = {}
    for trend in trends:
        for point in trend.changes:
            place = (*_population(trend), trend.runs[point.index - 1], trend.runs[point.index])
            by_run.setdefault(place, []).append((trend, point))
    here = {(times.run.info.run_id, device_label(times)): times for times in runs}
    every = [_step(moved, trends, here) for moved in by_run.values()]
    return sorted(every, key=lambda step: (-step.cases, step.started_at))


def _population(trend: Trend) -> tuple[str, str, str]:
    return trend.device, trend.suite, trend.mode


def _step(
    moved: list[tuple[Trend, ChangePoint]], trends: Sequence[Trend], here: Mapping[tuple[str, str], RunTimes]
) -> Step:
    first, index = moved[0][0], moved[0][1].index
    base, now = (here.get((first.runs[i], first.device)) for i in (index - 1, index))
    changes = {trend.key: point.change for trend, point in moved}
    if base is None or now is None:
        sizes = sorted(changes.values())
        sentence = (
            f"{len(moved)} cases moved by {change(1 + sizes[len(sizes) // 2])} in the median; {NOT_HERE}"
        )
    else:
        keys = {trend.key for trend in trends if _population(trend) == _population(first)}
        sentence = _sentence(keys, changes, base, now)
    return Step(
        device=first.device,
        before=first.runs[index - 1],
        run=first.runs[index],
        started_at=first.started_at[index],
        git=first.git[index],
        cases=len(moved),
        sentence=sentence,
    )


def _sentence(keys: set[Key], changes: dict[Key, float], base: RunTimes, now: RunTimes) -> str:
    """What `compare` would open with, for changes of level in place of changes between two runs."""
    before, after = _results(base), _results(now)
    entries = tuple(_entry(key, changes.get(key), before, after) for key in sorted(keys))
    ids = (base.run.info.run_id, now.run.info.run_id)
    return summary(RunComparison(*ids, FLOOR, entries, (), None), [before], [after])


def _results(times: RunTimes) -> DeviceResults:
    return next(one for one in device_results([times.run]) if one.device.id == times.device.id)


def _entry(key: Key, size: float | None, base: DeviceResults, now: DeviceResults) -> CaseChange:
    ratio = 1 + (size or 0.0)
    word: Change = "same" if size is None else "slower" if size > 0 else "faster"
    old, new = (
        next((point for point in side.timed if point.measurement.key[1:] == key), None)
        for side in (base, now)
    )
    return CaseChange(now.device.id, *key, word, old, new, Interval(ratio, ratio, ratio, 1))
