"""How much slower than the median a healthy GPU may be: the spread and the tail of the slow half.

Silicon is skewed, and its tails are heavier than normal: the interquartile range alone would make defects of
the slow end of healthy GPUs. With many GPUs spread and tail are learned; with few, a heavy tail is assumed.
Log times, so 0.05 is 5 % slower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from quantroof.analysis.distributions import MAX_FREEDOM, Array, t_quantile, t_tail
from quantroof.analysis.spread import MEDIAN_VARIANCE_RATIO, TINY, moderated_variance, robust_spread

_TRIM, _TAIL = 0.95, 0.97
"""The spread is that of the slow half below the first quantile, the tail is the second one: a few defective
GPUs move both by little."""
_TRIM_FROM, _TAIL_FROM = 32, 128
"""GPUs from which on spread and tail of the slow half are known well enough to be used."""
_UNKNOWN_FREEDOM = 5
"""The tail of a few GPUs: a node of eight with spreads as skewed as silicon's stays ok (docs/fleet.md)."""
# No fleet is large enough to tell 30 degrees from a normal distribution: that takes 36,000 GPUs.
_CANDIDATES = (3, 4, 5, 6, 7, 8, 10, 12, 15, 20, MAX_FREEDOM)
_RATIO_ERROR = 3.0
"""By how much the ratio of tail and spread may exceed a normal one's, times the root of the number of GPUs.
Its standard error for normal values is 1.6; the rest is for defective GPUs."""
_CAUTION = 1
"""Steps of the candidates by which a heavy tail is taken as heavier. Even t(4) has a step left."""
_GRID = 513


@dataclass(frozen=True, slots=True)
class SlowSide:
    """The slow half of healthy GPUs of one class: Student's t of `freedom` degrees, `spread` wide."""

    spread: float
    freedom: int
    assumed: bool = False
    """Whether the tail is assumed, for lack of GPUs: then it is heavy enough for the GPUs of a node."""

    def tail(self, level: Array) -> Array:
        """Share of healthy GPUs at least this much slower than the median."""
        return t_tail(level / self.spread, self.freedom)

    def limit(self, share: float) -> float:
        """The level that this share of healthy GPUs exceeds."""
        return t_quantile(share, self.freedom) * self.spread

    def limit_among(self, share: float, gpus: int) -> float:
        """The level that the slowest of this many healthy GPUs exceeds with this probability."""
        return self.limit(share if self.assumed else share / gpus)


def slow_side(levels: Array, prior: float) -> SlowSide:
    """Learn from the levels of similar GPUs, of which a few may be defective; `prior` is a usual spread."""
    n = len(levels)
    if n < 2:
        return few_alike(prior, 1)
    deviation = levels - np.median(levels)
    if n < _TRIM_FROM:
        own, freedom = float(robust_spread(deviation, axis=0)), _UNKNOWN_FREEDOM
    elif n < _TAIL_FROM:
        own, freedom = _slow_half(deviation) / _usual_half(MAX_FREEDOM), _UNKNOWN_FREEDOM
    else:
        half = max(_slow_half(deviation), TINY)
        freedom = _freedom(float(np.quantile(deviation, _TAIL)) / half, n)
        own = half / _usual_half(freedom)
    variance = moderated_variance(own**2, prior**2, n - 1)
    return SlowSide(math.sqrt(variance * (1 + MEDIAN_VARIANCE_RATIO / n)), freedom, n < _TAIL_FROM)


def few_alike(spread: float, gpus: int) -> SlowSide:
    """The slow side of a few GPUs, one at least, that spread as usual."""
    return SlowSide(spread * math.sqrt(1 + MEDIAN_VARIANCE_RATIO / gpus), _UNKNOWN_FREEDOM, assumed=True)


def _slow_half(deviation: Array) -> float:
    """Root mean square of the deviations between the median and the trimming quantile."""
    slow = deviation[(deviation > 0) & (deviation <= np.quantile(deviation, _TRIM))]
    return math.sqrt(float(np.mean(slow**2))) if len(slow) else 0.0


@lru_cache(maxsize=32)
def _usual_half(freedom: int) -> float:
    """The same for Student's t of spread 1: twice the integral of x (P(X > x) - P(X > end)) over the half."""
    end = t_quantile(1 - _TRIM, freedom)
    x = np.linspace(0.0, end, _GRID)
    heights = 2 * x * (t_tail(x, freedom) - (1 - _TRIM))
    area = float(np.sum((heights[1:] + heights[:-1]) / 2) * x[1])
    return math.sqrt(area / (_TRIM - 0.5))


def _freedom(ratio: float, gpus: int) -> int:
    """The freedom of the t distribution with this ratio of tail and spread; normal unless clearly heavier.

    A heavier tail is taken as still heavier than it looks, because its far end is extrapolated.
    """
    if ratio * (1 - _RATIO_ERROR / math.sqrt(gpus)) <= _ratio(MAX_FREEDOM):
        return MAX_FREEDOM
    place = next(i for i, freedom in enumerate(_CANDIDATES) if _ratio(freedom) <= ratio)
    return _CANDIDATES[max(0, place - _CAUTION)]


def _ratio(freedom: int) -> float:
    """The tail's quantile over the slow half's root mean square."""
    return t_quantile(1 - _TAIL, freedom) / _usual_half(freedom)
