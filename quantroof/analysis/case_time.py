"""One time per case and kernel from all the lines that measured it, and what its interval is made of.

Samples of one process agree with each other more than processes do (5 to 20 % on a shared CPU). The interval
of a case that three or more fresh processes measured is therefore built from their medians. With fewer it is
built from their samples, and `basis` names which it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev
from typing import Literal

from quantroof.analysis.distributions import t_quantile
from quantroof.analysis.statistics import RANKS_COVER, Interval, median_interval
from quantroof.records.lines import Measurement, Timing

IntervalBasis = Literal["processes", "samples"]
MIN_PROCESSES = 3


@dataclass(frozen=True, slots=True)
class CaseTime:
    """A median in ns with its 95 % interval; `basis` tells processes from samples."""

    interval: Interval
    basis: IntervalBasis


def median_ns(timing: Timing) -> float:
    """The time of one call in one process: the median of its samples."""
    return median(timing.samples_ns)


def case_time(lines: Iterable[Measurement]) -> CaseTime | None:
    """The time of one case and kernel from all its lines; None if none of them was timed.

    Two processes are too few to show how processes differ, so their samples are pooled, in order.
    """
    timed = [line.timing for line in lines if line.timing is not None]
    if not timed:
        return None
    if len(timed) >= MIN_PROCESSES:
        return CaseTime(processes_interval([median_ns(timing) for timing in timed]), "processes")
    if len(timed) == 1 and timed[0].spread is not None:
        middle, spread = median_ns(timed[0]), timed[0].spread
        return CaseTime(Interval(middle, middle * (1 - spread), middle * (1 + spread), 1), "samples")
    pooled = [sample for timing in timed for sample in timing.samples_ns]
    return CaseTime(median_interval(pooled), "samples")


def processes_interval(medians: Sequence[float]) -> Interval:
    """The median of process medians with its 95 % interval.

    The range of three processes covers the truth in 75 %. Where order statistics cannot cover 95 %, the
    interval is Student's of the log medians, stretched to hold their median.
    """
    by_rank = median_interval(medians)
    n = len(medians)
    if n >= RANKS_COVER:
        return by_rank
    logs = [math.log(value) for value in medians]
    half = t_quantile(0.025, n - 1) * stdev(logs) / math.sqrt(n)
    low, high = math.exp(fmean(logs) - half), math.exp(fmean(logs) + half)
    return replace(by_rank, low=min(low, by_rank.median), high=max(high, by_rank.median))


def grouped(lines: Iterable[Measurement]) -> dict[tuple[str, str, str], list[Measurement]]:
    """Lines by device, case and kernel, in the order they came."""
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for line in lines:
        groups.setdefault(line.key, []).append(line)
    return groups
