"""What changed between two runs: a verdict per case with its interval and a likely cause.

The rule (`analysis.ratio.judge_ratio`) is an equivalence test on the ratio of medians, as for the gate where
two times are all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantroof.analysis.case_time import MIN_PROCESSES
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point
from quantroof.analysis.ratio import judge_ratio, ratio_interval
from quantroof.analysis.statistics import Interval
from quantroof.analysis.trust import is_disturbed
from quantroof.analysis.verdicts import CHANGES, Change
from quantroof.analysis.winner import may_win
from quantroof.errors import ExitCode, QuantroofError
from quantroof.hwprofiles.types import isa_change
from quantroof.records.directory import Run
from quantroof.records.run import environment_changes

FLOOR = 0.05
"""The relative change below which two times count as the same."""
_CLOCK_MOVED = 0.02  # the contract's limit for a burst clock


@dataclass(frozen=True, slots=True)
class CaseChange:
    """One measurement that at least one of two runs timed. `ratio` is now / base, None if only one did."""

    device: str
    case: str
    kernel: str
    verdict: Change
    base: Point | None
    now: Point | None
    ratio: Interval | None
    causes: tuple[str, ...] = ()
    differs: bool = False
    """Undecided only because too few processes measured it: the interval lies wholly beyond the floor."""

    @property
    def lost_ns(self) -> float:
        """Time lost per call, the order of the list; 0 where it is unknown."""
        if self.base is None or self.now is None or self.base.time is None or self.now.time is None:
            return 0.0
        return self.now.time.median - self.base.time.median


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs. `differences` are settings that differ; `blocked` says why no verdict can be given."""

    base_id: str
    now_id: str
    floor: float
    entries: tuple[CaseChange, ...]
    differences: tuple[str, ...]
    blocked: str | None
    simulated: bool = False
    summary: str = ""
    """One sentence: what changed, and the cause that the evidence supports (`analysis.cause`)."""

    @property
    def verdict(self) -> Change:
        """The worst change of all cases; `new` ones decide nothing."""
        if self.blocked is not None:
            return "not comparable"
        words = {entry.verdict for entry in self.entries} - {"new"}
        return min(words, key=CHANGES.index, default="not comparable")

    def count(self, verdict: Change) -> int:
        """How many entries have a verdict."""
        return sum(entry.verdict == verdict for entry in self.entries)


class NotComparable(QuantroofError):
    """Two runs that must never be compared."""

    exit_code = ExitCode.UNDECIDED


def compare(base: list[DeviceResults], now: list[DeviceResults], floor: float = FLOOR) -> RunComparison:
    """Judge every measurement of the devices of two runs, worst first."""
    base_run, now_run = base[0].run, now[0].run
    if base_run.info.simulated != now_run.info.simulated:
        raise NotComparable("a simulated run never compares with a measured one", where=str(base_run.path))
    before = {p.measurement.key: p for results in base for p in results.points}
    after = {p.measurement.key: p for results in now for p in results.points}
    # What neither run timed (a skip in both) has nothing to compare.
    keys = dict.fromkeys(k for points in (before, after) for k, p in points.items() if p.time is not None)
    general = differences(base_run, now_run)
    disturbed = {one.device.id: one.trust.words for one in (*base, *now) if not one.trust.usable}
    entries = [
        _entry(key, before.get(key), after.get(key), floor, general, disturbed.get(key[0])) for key in keys
    ]
    entries.sort(key=lambda e: (CHANGES.index(e.verdict), -e.lost_ns))
    return RunComparison(
        base_id=base_run.info.run_id,
        now_id=now_run.info.run_id,
        floor=floor,
        entries=tuple(entries),
        differences=general,
        simulated=now_run.info.simulated,
        blocked=_blocked(base_run, now_run) or _disturbed(base, now),
    )


def differences(base: Run, now: Run) -> tuple[str, ...]:
    """Settings of two runs that differ and could explain a change."""
    texts = environment_changes(base.info.environment, now.info.environment)
    texts += _changed(base.info.versions, now.info.versions)
    devices = {device.id: device for device in base.info.devices}
    for device in now.info.devices:
        before = devices.get(device.id)
        for name in ("uuid", "driver", "vbios", "power_limit_w", "ecc", "mig", "max_sm_clock_mhz"):
            old, new = getattr(before, name, None), getattr(device, name)
            if before is not None and old != new:
                texts.append(f"{device.id} {name.removesuffix('_w').replace('_', ' ')} {old} -> {new}")
        old_cpu, new_cpu = before.cpu if before else None, device.cpu
        if old_cpu and new_cpu and old_cpu.usable_cores != new_cpu.usable_cores:
            texts.append(f"{device.id} threads {old_cpu.usable_cores} -> {new_cpu.usable_cores}")
        if old_cpu and new_cpu and (sets := isa_change(old_cpu.isa, new_cpu.isa)):
            texts.append(f"{device.id} instruction sets {sets}")
    if base.info.host.name != now.info.host.name:
        texts.append(f"node {base.info.host.name} -> {now.info.host.name}")
    return tuple(texts)


def _entry(
    key: tuple[str, str, str],
    base: Point | None,
    now: Point | None,
    floor: float,
    general: tuple[str, ...],
    disturbed: str | None = None,
) -> CaseChange:
    ratio: Interval | None = None
    # A case that lost its time is missing, one that got its first is new.
    verdict: Change = "missing" if base is not None and base.time is not None else "new"
    if base and now and base.time and now.time:
        ratio = ratio_interval(base.time, now.time)
        verdict = _decided(base, now, judge_ratio(ratio, floor))
    if disturbed:
        verdict = "not comparable"
    causes: tuple[str, ...] = (disturbed,) if disturbed else ()
    if base is not None and now is not None and verdict in ("slower", "faster", "undecided", "missing"):
        causes = (*causes, *_undecided(base, now, ratio, floor), *_causes(base, now), *general)
    if verdict == "not comparable" and any(p and is_disturbed(p.measurement) for p in (base, now)):
        causes = causes or ("other processes or a quota disturbed it",)
    differs = verdict == "undecided" and ratio is not None and judge_ratio(ratio, floor) != "undecided"
    return CaseChange(*key, verdict, base, now, ratio, causes, differs)


def _decided(base: Point, now: Point, change: Change) -> Change:
    """What two points may be called. Impossible and disturbed times have no change, few processes no word."""
    if not (may_win(base) and may_win(now)):
        return "not comparable"
    if change != "same" and any(is_disturbed(point.measurement) for point in (base, now)):
        return "not comparable"
    processes = base.basis == now.basis == "processes"
    return change if processes or change == "same" else "undecided"


def _undecided(base: Point, now: Point, ratio: Interval | None, floor: float) -> tuple[str, ...]:
    """Why a ratio beyond the floor is undecided: within one process its interval covers too little."""
    if ratio is None or base.basis == now.basis == "processes":
        return ()
    differs = judge_ratio(ratio, floor) in ("slower", "faster")
    return (f"differs, but fewer than {MIN_PROCESSES} processes measured it",) if differs else ()


def _causes(base: Point, now: Point) -> tuple[str, ...]:
    texts = []
    before, after = base.measurement, now.measurement
    old = before.state.sm_clock_mhz if before.state else None
    new = after.state.sm_clock_mhz if after.state else None
    if old and new and abs(new / old - 1) > _CLOCK_MOVED:
        texts.append(f"SM clock {old:.0f} -> {new:.0f} MHz")
    texts += _changed(before.config, after.config)
    if after.reason:
        texts.append(after.reason)
    return tuple(texts)


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = sorted({*before, *after})
    return [
        f"{name} {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _disturbed(base: list[DeviceResults], now: list[DeviceResults]) -> str | None:
    """Why neither run's change means anything: one of them may not be used on any of its devices."""
    for name, results in (("old", base), ("new", now)):
        timed = [one for one in results if one.timed]
        if timed and not any(one.trust.usable for one in timed):
            return f"the {name} run is disturbed: {timed[0].trust.words}"
    return None


def _blocked(base: Run, now: Run) -> str | None:
    """Why no verdict may be given, or None: other device models, another mode or cache state."""
    before, after = base.info.options, now.info.options
    for name, old, new in (("mode", before.mode, after.mode), ("cache", before.cache, after.cache)):
        if old != new:
            return f"{name} {old} against {new}: modes never mix in one comparison"
    old_names, new_names = ({d.id: d.name for d in run.info.devices} for run in (base, now))
    for device, name in new_names.items():
        if device in old_names and old_names[device] != name:
            return f"{device} is {name} now and was {old_names[device]}"
    return None if set(old_names) & set(new_names) else "the runs have no device in common"
