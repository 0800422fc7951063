"""Center and interval of raw samples. The median is the statistic; its interval respects autocorrelation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """A median with its 95 % confidence interval, in the unit of the samples."""

    median: float
    low: float
    high: float
    samples: int

    @property
    def relative_half_width(self) -> float:
        """Half the interval's width as a share of the median."""
        return (self.high - self.low) / 2 / self.median


def median_interval(samples: Sequence[float]) -> Interval:
    """Median and its distribution-free 95 % interval from order statistics (Hahn & Meeker).

    The ranks are n/2 -+ z sqrt(n)/2, widened by sqrt(n / n_eff) where the sequence is positively
    autocorrelated. No pair of order statistics of fewer than 6 samples covers 95 %: the interval is their
    range.
    """
    n = len(samples)
    if n == 0:
        raise ValueError("no samples")
    ordered = sorted(samples)
    spread = _Z95 * n / math.sqrt(effective_count(samples)) / 2
    low = max(0, math.floor(n / 2 - spread))
    high = min(n - 1, math.ceil(n / 2 + spread) - 1)
    return Interval(median(ordered), ordered[low], ordered[max(high, low)], n)


def effective_count(samples: Sequence[float]) -> float:
    """Independent-sample equivalent of an AR(1) sequence: n (1 - r) / (1 + r), with r the lag-1 correlation.

    Negative r is taken as 0: dither must not make an interval narrower than independence would.
    """
    n = len(samples)
    mean = fmean(samples)
    deviations = [value - mean for value in samples]
    variance = math.fsum(d * d for d in deviations)
    if variance == 0 or n < 3:
        return float(n)
    lag1 = math.fsum(a * b for a, b in pairwise(deviations)) / variance
    r = min(max(lag1, 0.0), 0.99)
    return max(1.0, n * (1 - r) / (1 + r))
