"""The rules of other tools: which cases they flag in samples [cases, samples] of an older and a newer run."""

from __future__ import annotations

import math

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.gate.confirm import Mask


def pytest_benchmark(base: Array, now: Array) -> Mask:
    """`--benchmark-compare-fail=mean:5%`."""
    return np.asarray(now.mean(axis=1) / base.mean(axis=1) > 1.05)


def asv(base: Array, now: Array) -> Mask:
    """asv compare: Mann-Whitney p < 0.002 and a ratio of medians above 1.1."""
    ratio = np.median(now, axis=1) / np.median(base, axis=1)
    return np.asarray((mann_whitney(base, now) < 0.002) & (ratio > 1.1))


def u_test(base: Array, now: Array) -> Mask:
    """Google Benchmark's compare.py: Mann-Whitney p < 0.05; slower by the median."""
    slower = np.median(now, axis=1) > np.median(base, axis=1)
    return np.asarray((mann_whitney(base, now) < 0.05) & slower)


def mann_whitney(base: Array, now: Array) -> Array:
    """Two-sided p by the normal approximation with continuity correction; for 20 samples a side and more."""
    n, m = base.shape[1], now.shape[1]
    ranks = np.argsort(np.argsort(np.hstack([base, now]), axis=1), axis=1) + 1
    u = ranks[:, n:].sum(axis=1) - m * (m + 1) / 2
    spread = math.sqrt(n * m * (n + m + 1) / 12)
    z = np.maximum(np.abs(u - n * m / 2) - 0.5, 0) / spread
    return np.array([math.erfc(value / math.sqrt(2)) for value in z])
