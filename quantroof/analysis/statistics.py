"""Center and interval of raw samples. The median is the statistic; its interval respects autocorrelation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import mul
from statistics import fmean, median

_Z95 = 1.959963984540054
_SIDES_ERRORS = 1.0
RANKS_COVER = 6
"""Fewer values have no pair of order statistics that covers 95 %."""


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
    autocorrelated. The interval of fewer than RANKS_COVER samples is their range, which covers less.
    """
    n = len(samples)
    if n == 0:
        raise ValueError("no samples")
    ordered = sorted(samples)
    spread = _Z95 * n / math.sqrt(effective_count_by_sides(samples)) / 2
    low = max(0, math.floor(n / 2 - spread))
    high = min(n - 1, math.ceil(n / 2 + spread) - 1)
    return Interval(median(ordered), ordered[low], ordered[max(high, low)], n)


def effective_count(samples: Sequence[float]) -> float:
    """Independent-sample equivalent of an AR(1) sequence: n (1 - r) / (1 + r), with r the lag-1 correlation.

    Negative r is taken as 0: dither must not make an interval narrower than independence would.
    """
    mean = fmean(samples)
    return _worth(len(samples), _lag1([value - mean for value in samples]))


def effective_count_by_sides(samples: Sequence[float]) -> float:
    """The same for a median, from the sides of it that samples lie on, where that is less.

    One outlier hides a correlation of values, but not one of sides. It counts only beyond its own noise.
    """
    middle = median(samples)
    by_sides = _lag1([0.0 if value == middle else math.copysign(1.0, value - middle) for value in samples])
    count = effective_count(samples)
    if by_sides * math.sqrt(len(samples)) <= _SIDES_ERRORS:
        return count
    return min(count, _worth(len(samples), math.sin(math.pi / 2 * by_sides)))  # as for normal values


def trend(samples: Sequence[float]) -> float:
    """Spearman's rank correlation of samples with their order, in standard errors of its absence."""
    n = len(samples)
    if n < 3:
        return 0.0
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(samples)):
        places.setdefault(value, []).append(place)
    middle = (n - 1) / 2
    ranks = [fmean((places[value][0], places[value][-1])) - middle for value in samples]
    together = math.fsum(rank * (order - middle) for order, rank in enumerate(ranks))
    spread = math.sqrt(math.fsum(rank * rank for rank in ranks) * n * (n * n - 1) / 12)
    return 0.0 if spread == 0 else together / spread * math.sqrt(n - 1)


def resolution(samples: Sequence[float]) -> float:
    """The smallest step between different samples: a clock's tick where they tie; infinite where all do."""
    ordered = sorted(set(samples))
    return min((b - a for a, b in pairwise(ordered)), default=math.inf)


def _worth(n: int, r: float) -> float:
    r = min(max(r, 0.0), 0.99)
    return max(1.0, n * (1 - r) / (1 + r))


def _lag1(deviations: Sequence[float]) -> float:
    """Lag-1 correlation of deviations; 0 where they do not vary. Of three or fewer it is never positive."""
    variance = math.fsum(map(mul, deviations, deviations))
    if variance == 0:
        return 0.0
    return math.fsum(map(mul, deviations, islice(deviations, 1, None))) / variance
