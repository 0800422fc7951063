"""Whether the figures of a run may be used; decided when the run is read.

A run that other processes disturbed has medians and intervals like any other, and they are wrong. Below the
limits here, every conclusion from it is `unknown`, and the reason comes first. Where only a bandwidth changed
during the run, health is unknown, and one format beats another only by more than that could explain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from quantroof import units
from quantroof.analysis.bandwidth_change import bandwidth_changes, largest
from quantroof.analysis.case_time import case_time, grouped
from quantroof.analysis.statistics import Interval
from quantroof.records.lines import Ceiling, Measurement

FOREIGN_CORES = 0.15
"""Cores' worth of foreign work that a CPU measurement tolerates; an idle host shows 0.01 to 0.05."""
DISTURBED_SHARE = 0.10
"""Largest share of disturbed measurements in a run that may be used."""
MEDIAN_WIDTH = 0.10
"""Largest half-width of the 95 % interval, in the median over all cases, of a run that may be used."""
_MOVEMENTS = 2.0
"""A bandwidth seen at the start and the end of a run may have moved this much further in between."""
_IDLE_CORES = 0.05
_QUOTA = "cpu_throttled"
_DISTURBANCES = ("foreign_load", "foreign_process", _QUOTA)


@dataclass(frozen=True, slots=True)
class Trust:
    """What was disturbed while a device was measured. Without `reasons` its figures may be used.

    `load_cores` is the median foreign load of the disturbed measurements; widths are half-widths of 95 %
    intervals relative to the median; clocks are in MHz.
    """

    timed: int
    disturbed: int
    load_cores: float | None
    median_width: float | None
    worst_width: float | None
    clock_mhz: tuple[float, float] | None
    reasons: tuple[str, ...]
    lead_by: float | None
    """By how much a time must be shorter than another to win, as a share; None where none may win."""

    @property
    def usable(self) -> bool:
        """Whether conclusions may be drawn."""
        return not self.reasons

    @property
    def words(self) -> str:
        """`144 timed, 144 disturbed: other processes kept 1.5 cores busy; do not use`."""
        counts = f"{self.timed} timed, {self.disturbed} disturbed"
        return counts if self.usable else f"{counts}: {'; '.join(self.reasons)}; {self.advice}"

    @property
    def advice(self) -> str:
        """What may be done with figures that are not usable: nothing, or name a winner by a large lead."""
        if self.lead_by is None:
            return "do not use"
        return f"only leads of more than {units.percent(self.lead_by)} count"


def trust_of(
    lines: Sequence[Measurement],
    ceilings: Iterable[Ceiling] = (),
    times: Iterable[Interval | None] | None = None,
) -> Trust:
    """The trust in the measurements of one device, or of a whole run; `times` of its cases, where known."""
    timed = [line for line in lines if line.timing is not None]
    disturbed = [line for line in timed if is_disturbed(line)]
    loads = [line.state.other_load_cores for line in disturbed if line.state]
    load = median([cores for cores in loads if cores is not None] or [0.0])
    widths = [time.relative_half_width for time in (_times(timed) if times is None else times) if time]
    clocks = [clock for line in timed if line.state and (clock := line.state.sm_clock_mhz)]
    finite = [width for width in widths if math.isfinite(width)]
    moved = largest([change for change in bandwidth_changes(ceilings) if change.moved])
    wrong = [
        _disturbance(len(timed), disturbed, load),
        _contradictions(disturbed),
        _wide(finite, len(widths)),
    ]
    reasons = [*wrong, None if moved is None else moved.words]
    return Trust(
        timed=len(timed),
        disturbed=len(disturbed),
        load_cores=load or None,
        median_width=median(finite) if finite else None,
        worst_width=max(finite, default=None),
        clock_mhz=(min(clocks), max(clocks)) if clocks else None,
        reasons=tuple(reason for reason in reasons if reason),
        lead_by=None if any(wrong) else 0.0 if moved is None else _MOVEMENTS * moved.gain,
    )


def is_disturbed(line: Measurement) -> bool:
    """Whether other processes or a quota took the device meanwhile, by the line's flags or its state."""
    load = line.state.other_load_cores if line.state else None
    processes = line.state.foreign_processes if line.state else None
    flagged = any(flag.code in _DISTURBANCES for flag in line.flags)
    return flagged or bool(processes) or (load is not None and load > FOREIGN_CORES)


def _disturbance(timed: int, disturbed: list[Measurement], load: float) -> str | None:
    if not timed:
        return "nothing was timed"
    if len(disturbed) <= DISTURBED_SHARE * timed:
        return None
    stopped = sum(any(flag.code == _QUOTA for flag in line.flags) for line in disturbed)
    if 2 * stopped > len(disturbed):
        return f"a CPU quota stopped the threads in {stopped} measurements"
    return f"other processes kept {load:.1f} cores busy" if load else "other processes used the device"


def _contradictions(disturbed: list[Measurement]) -> str | None:
    """Lines that are flagged as disturbed while their own state shows an idle machine."""
    count = sum(
        state.other_load_cores is not None
        and state.other_load_cores < _IDLE_CORES
        and any(flag.code == "foreign_load" for flag in line.flags)
        for line in disturbed
        if (state := line.state) is not None
    )
    return f"{count} measurements are flagged as disturbed and recorded as idle" if count else None


def _times(timed: list[Measurement]) -> list[Interval]:
    times = (case_time(lines) for lines in grouped(timed).values())
    return [time.interval for time in times if time is not None]


def _wide(finite: list[float], cases: int) -> str | None:
    if len(finite) < cases:
        return f"{cases - len(finite)} of {cases} cases have no finite interval"
    if not finite or median(finite) <= MEDIAN_WIDTH:
        return None
    return f"the intervals are ±{units.percent(median(finite))} in the median"
