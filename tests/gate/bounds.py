"""Exact bounds of a rate that was counted."""

from __future__ import annotations

import math


def upper_bound(events: int, trials: int) -> float:
    """The rate at which `events` or fewer in `trials` would be seen 5 % of the time (Clopper & Pearson)."""
    if events == trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        seen = math.fsum(_binomial(k, trials, rate) for k in range(events + 1))
        low, high = (rate, high) if seen > 0.05 else (low, rate)
    return high


def _binomial(k: int, n: int, rate: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(rate) + (n - k) * math.log1p(-rate))
