"""The median and its interval on hand-made samples."""

from __future__ import annotations

import numpy as np
import pytest

from quantroof.analysis.statistics import effective_count, median_interval


def test_ranks_of_twenty_independent_samples() -> None:
    """For n = 20 the classical 95 % interval of the median is the 6th to the 15th value."""
    samples = [3, 11, 7, 19, 1, 15, 9, 5, 17, 13, 20, 2, 14, 8, 12, 4, 18, 6, 16, 10]
    interval = median_interval([float(v) for v in samples])

    assert interval.median == 10.5
    assert (interval.low, interval.high) == (6.0, 15.0)


def test_few_samples_give_their_range() -> None:
    """Below 6 samples no pair of order statistics covers 95 %."""
    interval = median_interval([5.0, 1.0, 9.0])

    assert (interval.median, interval.low, interval.high) == (5.0, 1.0, 9.0)
    for n in range(1, 6):
        interval = median_interval([float(i) for i in range(n)])
        assert (interval.low, interval.high) == (0.0, n - 1.0)


def test_no_samples_are_an_error() -> None:
    """Nothing has no median."""
    with pytest.raises(ValueError, match="no samples"):
        median_interval([])


def test_interval_covers_the_true_median_about_95_percent_of_the_time() -> None:
    """Coverage over 2,000 seeded skewed sequences lies between 93 and 99 %."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(2000):
        interval = median_interval(list(rng.lognormal(0.0, 0.3, 30)))
        hits += interval.low <= 1.0 <= interval.high

    assert 0.93 <= hits / 2000 <= 0.99


def test_autocorrelation_widens_the_interval() -> None:
    """An AR(1) sequence with r = 0.8 counts for about a ninth of its length."""
    rng = np.random.default_rng(11)
    walk = np.zeros(4000)
    for i in range(1, 4000):
        walk[i] = 0.8 * walk[i - 1] + rng.normal()

    assert effective_count(list(100 + walk)) == pytest.approx(4000 / 9, rel=0.2)


def test_dither_does_not_narrow_the_interval() -> None:
    """Alternating samples (negative correlation) count as independent, not as more."""
    assert effective_count([1.0, 2.0] * 50) == 100
