"""The rules of other tools: which cases they flag in samples [cases, samples] of an older and a newer run.

Each follows the tool's source; asv's and Google Benchmark's p values agree with the libraries' own (both
normal approximations at 30 samples a side).
"""

from __future__ import annotations

import math

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.gate.confirm import Mask

_NVBENCH_GAP = 0.005


def pytest_benchmark(base: Array, now: Array) -> Mask:
    """`--benchmark-compare-fail=mean:5%` (pytest_benchmark/utils.py, PercentageRegressionCheck)."""
    return np.asarray(now.mean(axis=1) / base.mean(axis=1) > 1.05)


def asv(base: Array, now: Array) -> Mask:
    """asv compare: Mann-Whitney p < 0.002 and a ratio of medians above 1.1 (asv/commands/compare.py)."""
    ratio = np.median(now, axis=1) / np.median(base, axis=1)
    return np.asarray((mann_whitney(base, now) < 0.002) & (ratio > 1.1))


def google_benchmark(base: Array, now: Array) -> Mask:
    """compare.py: Mann-Whitney p < 0.05; slower by the median (tools/gbench/report.py)."""
    slower = np.median(now, axis=1) > np.median(base, axis=1)
    return np.asarray((mann_whitney(base, now) < 0.05) & slower)


def nvbench(base: Array, now: Array) -> Mask:
    """Means further apart than the smaller relative deviation (python/scripts/nvbench_compare_legacy.py)."""
    before, after = base.mean(axis=1), now.mean(axis=1)
    noise = np.minimum(base.std(axis=1, ddof=1) / before, now.std(axis=1, ddof=1) / after)
    return np.asarray((after - before) / before > noise)


def nvbench_robust(base: Array, now: Array) -> Mask:
    """From minimum to third quartile, at least 0.5 % apart (python/scripts/nvbench_compare_robust.py)."""
    highest, lowest = np.quantile(base, 0.75, axis=1), now.min(axis=1)
    return np.asarray(lowest / highest - 1 >= _NVBENCH_GAP)


def mann_whitney(base: Array, now: Array) -> Array:
    """Two-sided p by the normal approximation with continuity correction; for 20 samples a side and more."""
    n, m = base.shape[1], now.shape[1]
    ranks = np.argsort(np.argsort(np.hstack([base, now]), axis=1), axis=1) + 1
    u = ranks[:, n:].sum(axis=1) - m * (m + 1) / 2
    spread = math.sqrt(n * m * (n + m + 1) / 12)
    z = np.maximum(np.abs(u - n * m / 2) - 0.5, 0) / spread
    return np.array([math.erfc(value / math.sqrt(2)) for value in z])
