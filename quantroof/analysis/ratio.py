"""The ratio of two times and its verdict: an equivalence test with a relative floor."""

from __future__ import annotations

import math
from typing import Literal

from quantroof.analysis.statistics import Interval

Decided = Literal["slower", "faster", "same", "undecided"]
"""The verdicts that two times alone can give."""


def judge_ratio(ratio: Interval, floor: float) -> Decided:
    """The verdict on a ratio of times: an equivalence test with a relative floor.

    `slower` where the whole 95 % interval lies above 1 + floor, `faster` where below 1 / (1 + floor), `same`
    where within, else `undecided`.
    """
    if ratio.low > 1 + floor:
        return "slower"
    if ratio.high < 1 / (1 + floor):
        return "faster"
    inside = ratio.low >= 1 / (1 + floor) and ratio.high <= 1 + floor
    return "same" if inside else "undecided"


def ratio_interval(base: Interval, now: Interval) -> Interval:
    """95 % interval of now / base by the method of variance estimates recovery on logarithms.

    Zou & Donner, Statistics in Medicine 27(10), 2008: the distances to the two limits add in squares.
    """
    center = now.median / base.median
    down = math.hypot(math.log(now.median / now.low), math.log(base.high / base.median))
    up = math.hypot(math.log(now.high / now.median), math.log(base.median / base.low))
    return Interval(center, center * math.exp(-down), center * math.exp(up), min(base.samples, now.samples))
