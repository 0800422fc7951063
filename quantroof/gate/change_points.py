"""Change points of a series: where its level moved and stayed. Binary segmentation with a robust scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantroof.analysis.distributions import Array, t_tail

P_VALUE = 0.001
MAGNITUDE = 0.02
MIN_SEGMENT = 3
_NORMAL_MAD = 0.6745  # median of the absolute value of a standard normal variable
_VALUES_PER_FREEDOM = 2  # the median step is about half as efficient as the standard deviation


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """From `index` on the level differs by `change` (relative); chance does that with probability `p`."""

    index: int
    change: float
    p: float


def change_points(
    log_values: Array, p_value: float = P_VALUE, magnitude: float = MAGNITUDE
) -> tuple[ChangePoint, ...]:
    """The change points of a series of log values, in order.

    Each segment is split where the difference between the means on both sides is largest relative to the
    noise, as long as its p, times the number of places tried (Bonferroni), is below `p_value` and the medians
    differ by `magnitude`. A segment has at least three values: with fewer, an outlier looks like a level.
    """
    if len(log_values) < 2 * MIN_SEGMENT:
        return ()
    noise = step_noise(log_values)
    points: list[ChangePoint] = []
    waiting = [(0, len(log_values))]
    while waiting:
        start, end = waiting.pop()
        best = _best_split(log_values[start:end], noise, len(log_values) // _VALUES_PER_FREEDOM)
        if best is None or best.p > p_value or abs(best.change) < magnitude:
            continue
        split = start + best.index
        points.append(ChangePoint(split, best.change, best.p))
        waiting += [(start, split), (split, end)]
    return tuple(sorted(points, key=lambda point: point.index))


def step_noise(values: Array) -> float:
    """Standard deviation of a series about its levels, from the median step between neighbors.

    A change of level is one large step among many: it does not affect the median, as it would a pooled
    variance.
    """
    return max(float(np.median(np.abs(np.diff(values)))) / (_NORMAL_MAD * math.sqrt(2)), 1e-9)


def _best_split(values: Array, noise: float, freedom: int) -> ChangePoint | None:
    """The place with the largest t; far from chance its p is too small for a float, and ties."""
    places = range(MIN_SEGMENT, len(values) - MIN_SEGMENT + 1)
    if not places:
        return None
    place = max(places, key=lambda place: _t(values, place, noise))
    p = 2 * float(t_tail(np.array([_t(values, place, noise)]), freedom)[0])
    change = math.expm1(float(np.median(values[place:]) - np.median(values[:place])))
    return ChangePoint(place, change, min(1.0, p * len(places)))


def _t(values: Array, place: int, noise: float) -> float:
    before, after = values[:place], values[place:]
    error = noise * math.sqrt(1 / len(before) + 1 / len(after))
    return abs(float(after.mean() - before.mean())) / error
