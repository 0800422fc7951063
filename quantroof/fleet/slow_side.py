"""How much slower than the median a healthy GPU may be: the spread and the tail of the slow half.

Silicon is skewed, and its tails are heavier than normal: the interquartile range alone would make defects of
the slow end of healthy GPUs. With many GPUs spread and tail are learned; with few, a heavy tail is assumed.
Log times, so 0.05 is 5 % slower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantroof.analysis.distributions import MAX_FREEDOM, Array, t_quantile, t_tail
from quantroof.analysis.spread import MEDIAN_VARIANCE_RATIO, TINY, moderated_variance, robust_spread

_UPPER, _TAIL = 0.85, 0.97
"""Quantiles of the spread and of the tail. One percent of defective GPUs moves the second by little."""
_UPPER_FROM, _TAIL_FROM = 32, 128
"""GPUs from which on each quantile is known well enough to be used."""
_UNKNOWN_FREEDOM = 5
"""The tail of a few GPUs: a node of eight with spreads as skewed as silicon's stays ok (docs/fleet.md)."""
_CANDIDATES = (4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60, MAX_FREEDOM)
_RATIO_ERROR = 2.0
"""Standard error of the ratio of tail and spread for normal values, times the root of their number."""
_CAUTION = 2
"""Steps of the candidates by which a heavy tail is taken as heavier."""
_NORMAL_UPPER, _NORMAL_QUARTILE = 1.0364, 0.6745


@dataclass(frozen=True, slots=True)
class SlowSide:
    """The slow half of healthy GPUs of one class: Student's t of `freedom` degrees, `spread` wide."""

    spread: float
    freedom: int

    def tail(self, level: Array) -> Array:
        """Share of healthy GPUs at least this much slower than the median."""
        return t_tail(level / self.spread, self.freedom)

    def limit(self, share: float) -> float:
        """The level that this share of healthy GPUs exceeds."""
        return t_quantile(share, self.freedom) * self.spread


def slow_side(levels: Array, prior: float) -> SlowSide:
    """Learn from the levels of similar GPUs, of which a few may be defective; `prior` is a usual spread."""
    n = len(levels)
    if n < 2:
        return SlowSide(prior * math.sqrt(1 + MEDIAN_VARIANCE_RATIO), _UNKNOWN_FREEDOM)
    deviation = levels - np.median(levels)
    own = float(robust_spread(deviation, axis=0))
    if n >= _UPPER_FROM:
        own = max(own, float(np.quantile(deviation, _UPPER)) / _NORMAL_UPPER)
    variance = moderated_variance(own**2, prior**2, n - 1)
    spread = math.sqrt(variance * (1 + MEDIAN_VARIANCE_RATIO / n))
    if n < _TAIL_FROM:
        return SlowSide(spread, _UNKNOWN_FREEDOM)
    return SlowSide(spread, _freedom(float(np.quantile(deviation, _TAIL)), max(own, TINY), n))


def _freedom(tail: float, spread: float, gpus: int) -> int:
    """The freedom of the t distribution with this tail, beside its spread; normal unless clearly heavier.

    A heavier tail is taken as still heavier than it looks, because its far end is extrapolated.
    """
    ratio = tail / (spread * _NORMAL_QUARTILE)
    if ratio * (1 - _RATIO_ERROR / math.sqrt(gpus)) <= _ratio(MAX_FREEDOM):
        return MAX_FREEDOM
    place = next(i for i, freedom in enumerate(_CANDIDATES) if _ratio(freedom) <= ratio)
    return _CANDIDATES[max(0, place - _CAUTION)]


def _ratio(freedom: int) -> float:
    """The tail's quantile over the upper quartile."""
    return t_quantile(1 - _TAIL, freedom) / t_quantile(0.25, freedom)
