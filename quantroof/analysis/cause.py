"""What changed between two runs, grouped, and the cause that the evidence supports: one sentence.

Causes are tried in order: environment variables and threads (ceilings follow them), ceilings (with the clock
that moved them), clock, power limit, driver, libraries, load, kernel sources and machine code. The first that
fits the direction of the change is named; without one the sentence says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from quantroof import units
from quantroof.analysis.comparison import FLOOR, CaseChange, RunComparison, compare
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.roofs import READ
from quantroof.analysis.trust import is_disturbed
from quantroof.hwprofiles.types import Device, isa_change
from quantroof.records.run import environment_changes

CEILING_MOVED = 0.02
"""A ceiling that moved by more is a cause; two processes of one GPU agree within 1 %."""
CLOCK_MOVED = 0.02
"""The contract's limit for a burst clock."""
NO_CAUSE = "no cause found"
_LIBRARIES = ("torch", "triton", "cuda", "cublas", "cupy", "python", "quantroof")
_CODE = ("registers", "spill_bytes", "code_hash", "sass_hash", "shared_bytes")
_BOUNDS = {"memory": "memory-bound", "compute": "compute-bound", None: "other"}


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Cases of one bound, format and kernel that changed alike; `ratio` is their median change."""

    bound: str
    formats: tuple[str, ...]
    kernels: tuple[str, ...]
    verdict: str
    cases: int
    ratio: float

    @property
    def what(self) -> str:
        """`77 memory-bound cases`."""
        cases = f"{self.bound} case{'' if self.cases == 1 else 's'}"
        if len(self.formats) == 1:
            cases = f"{self.formats[0]} {cases}"
            cases += f" of {self.kernels[0]}" if len(self.kernels) == 1 else ""
        return f"{self.cases} {cases}"

    @property
    def words(self) -> str:
        """`77 memory-bound cases are 8.8 % slower`."""
        share = units.percent(abs(self.ratio - 1), 1)
        verb = "is" if self.cases == 1 else "are"
        if self.verdict == "same":
            return f"{self.what} {verb} unchanged"
        direction = "slower" if self.ratio > 1 else "faster"
        if self.verdict == "differs":
            return f"{self.what} differ{'s' if self.cases == 1 else ''}, {share} {direction}"
        return f"{self.what} {verb} {share} {direction}"


def compare_runs(base: list[DeviceResults], now: list[DeviceResults], floor: float = FLOOR) -> RunComparison:
    """Compare the devices of two runs, with the sentence that opens every account of it."""
    comparison = compare(base, now, floor)
    return replace(comparison, summary=summary(comparison, base, now))


def summary(comparison: RunComparison, base: list[DeviceResults], now: list[DeviceResults]) -> str:
    """One sentence: what changed and why."""
    if comparison.blocked is not None:
        return f"not comparable: {comparison.blocked}"
    groups = change_groups(comparison)
    changed = [group for group in groups if group.verdict != "same"]
    missing = _counted(comparison.count("missing"), "missing")
    if not changed:
        same = _counted(sum(group.cases for group in groups), "unchanged")
        return ", ".join([*missing, *(same or ["no case is timed in both runs"])])
    kept = [group.words for group in groups if group.verdict == "same"]
    words = ", ".join([*(group.words for group in changed), *missing, *kept])
    entries = [entry for entry in comparison.entries if _verdict(entry) not in (None, "same")]
    return f"{words}; {cause(entries, base, now)}"


def _counted(cases: int, state: str) -> list[str]:
    """`1 case is missing`; nothing for none."""
    return [f"{cases} case{' is' if cases == 1 else 's are'} {state}"] if cases else []


def change_groups(comparison: RunComparison) -> list[ChangeGroup]:
    """Compared cases by bound and verdict, split by format where one format alone changed; largest first."""
    by_kind: dict[tuple[str, str, bool], list[CaseChange]] = {}
    for entry in comparison.entries:
        verdict = _verdict(entry)
        if verdict is None or entry.ratio is None or entry.now is None:
            continue
        bound = _BOUNDS.get(entry.now.roofs.bound, "other")
        key = (bound, verdict, entry.ratio.median > 1 and verdict != "same")
        by_kind.setdefault(key, []).append(entry)
    groups = [_group(bound, verdict, entries) for (bound, verdict, _), entries in by_kind.items()]
    return sorted(groups, key=lambda group: (group.verdict == "same", -group.cases))


def cause(entries: Sequence[CaseChange], base: list[DeviceResults], now: list[DeviceResults]) -> str:
    """The first candidate that differs in the direction of the change, in words."""
    slower = median(math.log(e.ratio.median) for e in entries if e.ratio is not None) > 0
    pairs = [(b, n) for b in base for n in now if b.device.id == n.device.id]
    bounds: set[str | None] = {e.now.roofs.bound for e in entries if e.now is not None}
    for candidate in _CANDIDATES:
        text = candidate(_Evidence(pairs, list(entries), slower, bounds))
        if text is not None:
            return text
    return NO_CAUSE


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a candidate looks at: the devices of both runs, the changed cases and their direction."""

    pairs: list[tuple[DeviceResults, DeviceResults]]
    entries: list[CaseChange]
    slower: bool
    bounds: set[str | None]


def _verdict(entry: CaseChange) -> str | None:
    """`differs` for what too few processes measured; None for what cannot be told."""
    if entry.verdict in ("slower", "faster", "same"):
        return entry.verdict
    return "differs" if entry.verdict == "undecided" and entry.differs else None


def _group(bound: str, verdict: str, entries: list[CaseChange]) -> ChangeGroup:
    points = [entry.now for entry in entries if entry.now is not None]
    formats = tuple(dict.fromkeys(point.scheme for point in points))
    kernels = tuple(dict.fromkeys(entry.kernel for entry in entries))
    ratio = median(entry.ratio.median for entry in entries if entry.ratio is not None)
    return ChangeGroup(bound, formats, kernels, verdict, len(entries), ratio)


def _environment(evidence: _Evidence) -> str | None:
    """Variables that steer the libraries, another number of threads, or other instruction sets."""
    for base, now in evidence.pairs:
        changes = environment_changes(base.run.info.environment, now.run.info.environment)
        if changes:
            return f"the environment changed: {', '.join(changes)}"
        before, after = base.device.cpu, now.device.cpu
        if before and after and before.usable_cores != after.usable_cores:
            return f"the number of threads changed from {before.usable_cores} to {after.usable_cores}"
        if before and after and (sets := isa_change(before.isa, after.isa)):
            return f"the CPU's instruction sets changed: {sets}"
    return None


def _ceilings(evidence: _Evidence) -> str | None:
    """A ceiling that moved with the cases that follow it: the device did, not the code."""
    for base, now in evidence.pairs:
        kinds = [("DRAM read", base.measured.bandwidth.get(READ), now.measured.bandwidth.get(READ), "memory")]
        elements = dict.fromkeys(e.now.case.compute.name for e in evidence.entries if e.now is not None)
        before, after = base.measured.library().matrix, now.measured.library().matrix
        kinds += [(f"{name} matrix", before.get(name), after.get(name), "compute") for name in elements]
        for name, old, new, bound in kinds:
            if old is None or new is None or bound not in evidence.bounds:
                continue
            moved = new / old - 1
            if abs(moved) > CEILING_MOVED and (moved < 0) is evidence.slower:
                what = f"the {name} ceiling {_moved(moved)}"
                clock = _clock_words(evidence)
                return f"{what}{f', {clock}' if clock else ''}: the device, not the code"
    return None


def _clock(evidence: _Evidence) -> str | None:
    words = _clock_words(evidence)
    return None if words is None else f"{words}: the device, not the code"


def _moved(change: float) -> str:
    return f"{'fell' if change < 0 else 'rose'} {units.percent(abs(change), 1)}"


def _clock_words(evidence: _Evidence) -> str | None:
    """The SM clock that the device held over the changed cases."""
    ratios = []
    for entry in evidence.entries:
        states = [p.measurement.state for p in (entry.base, entry.now) if p is not None]
        clocks = [state.sm_clock_mhz for state in states if state is not None and state.sm_clock_mhz]
        if len(clocks) == 2:
            ratios.append((clocks[1] / clocks[0], clocks[0], clocks[1]))
    if not ratios:
        return None
    ratio, old, new = sorted(ratios)[len(ratios) // 2]
    if abs(ratio - 1) <= CLOCK_MOVED or (ratio < 1) is not evidence.slower:
        return None
    return f"the SM clock {_moved(ratio - 1)} ({old:.0f} to {new:.0f} MHz)"


def _power(evidence: _Evidence) -> str | None:
    return _setting(evidence, "power_limit_w", "power limit", lambda value: f"{value:.0f} W")


def _driver(evidence: _Evidence) -> str | None:
    return _setting(evidence, "driver", "driver", str) or _setting(evidence, "vbios", "VBIOS", str)


def _setting(evidence: _Evidence, field: str, name: str, words: Callable[..., str]) -> str | None:
    for base, now in evidence.pairs:
        old, new = _field(base.device, field), _field(now.device, field)
        if old != new and old is not None and new is not None:
            return f"the {name} changed from {words(old)} to {words(new)}"
    return None


def _field(device: Device, name: str) -> object:
    value: object = getattr(device, name)
    return value


def _libraries(evidence: _Evidence) -> str | None:
    """Versions that differ between the runs, the libraries that compute first."""
    for base, now in evidence.pairs:
        old, new = base.run.info.versions, now.run.info.versions
        names = sorted(
            (name for name in {*old, *new} if old.get(name) != new.get(name)),
            key=lambda name: (_LIBRARIES.index(name) if name in _LIBRARIES else len(_LIBRARIES), name),
        )
        if names:
            changes = [f"{n} {old.get(n, 'absent')} to {new.get(n, 'absent')}" for n in names]
            return f"the libraries changed: {', '.join(changes)}"
    return None


def _load(evidence: _Evidence) -> str | None:
    """Other processes beside one of the runs, below what makes it unusable."""
    for name, side in (("base", 0), ("now", 1)):
        lines = [line for pair in evidence.pairs for line in pair[side].run.measurements if line.timing]
        other = [line for pair in evidence.pairs for line in pair[1 - side].run.measurements if line.timing]
        count = sum(map(is_disturbed, lines))
        if count > sum(map(is_disturbed, other)):
            return f"other processes disturbed {count} of {len(lines)} measurements of the {name} run"
    return None


def _code(evidence: _Evidence) -> str | None:
    """Kernels whose source or machine code is another one."""
    kernels = list(dict.fromkeys(entry.kernel for entry in evidence.entries))
    for base, now in evidence.pairs:
        old, new = base.run.info.kernel_sources, now.run.info.kernel_sources
        changed = [k for k in kernels if k in old and k in new and old[k] != new[k]]
        if changed:
            return f"the source of {', '.join(changed[:3])} changed: the code, not the device"
    for entry in evidence.entries:
        if entry.base is None or entry.now is None:
            continue
        before, after = entry.base.measurement.config, entry.now.measurement.config
        different = [name for name in _CODE if before.get(name) != after.get(name)]
        if different:
            changes = [f"{n} {before.get(n, 'absent')} to {after.get(n, 'absent')}" for n in different]
            return (
                f"the machine code of {entry.kernel} changed ({', '.join(changes)}): the code, not the device"
            )
    return None


_CANDIDATES = (_environment, _ceilings, _clock, _power, _driver, _libraries, _load, _code)
