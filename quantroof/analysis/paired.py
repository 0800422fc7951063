"""Differences between two measurements of the same windows of text, with a 95 % interval.

A window that is hard is hard for both models: subtracting window by window removes what the text adds, and
leaves an interval tens of times narrower than that of either mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Literal

from quantroof.analysis.statistics import effective_count

MIN_WINDOWS = 8  # below, the quantile of Student's t used here is off by more than 1 %
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
    half = _t975(max(MIN_WINDOWS - 1.0, count - 1)) * spread
    return Difference(mean, mean - half, mean + half, n)


def _t975(freedom: float) -> float:
    """The 97.5 % quantile of Student's t, by its expansion (Abramowitz & Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
