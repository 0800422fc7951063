"""Differences between two measurements of the same windows of text, with a 95 % interval.

A window that is hard is hard for both models: subtracting window by window removes what the text adds, and
leaves an interval tens of times narrower than that of either mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from quantroof.analysis.distributions import MAX_FREEDOM, t_quantile
from quantroof.analysis.statistics import effective_count

MIN_WINDOWS = 8
"""Fewer windows do not show how much windows differ, so no interval is given."""
LossVerdict = Literal["worse", "better", "undecided"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of paired differences (other - base) and its 95 % interval, in the unit of the values."""

    mean: float
    low: float
    high: float
    windows: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def verdict(self) -> LossVerdict:
        """`worse` above zero, `better` below it, `undecided` where the interval holds zero."""
        if self.low > 0:
            return "worse"
        return "better" if self.high < 0 else "undecided"


def paired_difference(base: Sequence[float], other: Sequence[float]) -> Difference:
    """Mean of other - base with its t interval; positive autocorrelation of the windows widens it.

    Raises ValueError for sequences of different length or fewer than MIN_WINDOWS.
    """
    if len(base) != len(other):
        raise ValueError(f"{len(base)} windows against {len(other)}: not the same text")
    n = len(base)
    if n < MIN_WINDOWS:
        raise ValueError(f"{n} windows are too few for an interval")
    differences = [b - a for a, b in zip(base, other, strict=True)]
    mean = fmean(differences)
    count = max(2.0, effective_count(differences))
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1) / count)
    freedom = min(max(MIN_WINDOWS - 1, math.floor(count) - 1), MAX_FREEDOM)
    half = t_quantile(0.025, freedom) * spread
    return Difference(mean, mean - half, mean + half, n)
