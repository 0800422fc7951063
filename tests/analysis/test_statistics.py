"""The median and its interval on hand-made samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantroof.analysis.statistics import (
    effective_count,
    effective_count_by_sides,
    median_interval,
    resolution,
    trend,
)
from tests.bench.stopping import SEQUENCES, stopped


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


def test_one_outlier_does_not_hide_a_correlation() -> None:
    """An AR(1) sequence with r = 0.6 counts for about a quarter, with a single far sample in it too."""
    rng = np.random.default_rng(12)
    walk = np.zeros(2000)
    for i in range(1, 2000):
        walk[i] = 0.6 * walk[i - 1] + rng.normal()
    walk[1000] = 1000.0

    assert effective_count(list(walk)) > 1900
    assert effective_count_by_sides(list(walk)) == pytest.approx(500, rel=0.25)


@pytest.mark.parametrize(("slope", "seen"), [(0.0, False), (0.05, True)])
def test_a_trend_is_seen_beyond_its_noise(slope: float, seen: bool) -> None:
    """A slope of 0.05 spreads per sample is beyond two standard errors after 50 samples, none is not."""
    rng = np.random.default_rng(13)
    samples = rng.normal(0.0, 1.0, 50) + slope * np.arange(50)

    assert (abs(trend(list(samples))) > 1.96) == seen
    assert trend([1.0] * 20) == trend([1.0, 2.0]) == 0.0
    assert trend(list(range(10))) == pytest.approx(3.0)


def test_resolution_is_the_tick_that_shows() -> None:
    """The smallest step between different samples; where all tie, none shows."""
    assert resolution([5.0, 5.0, 5.5, 7.0]) == 0.5
    assert resolution([5.0, 5.0]) == math.inf


@pytest.mark.long
@pytest.mark.parametrize("name", ["independent", "AR(1) 0.6"])
def test_the_interval_covers_after_stopping(name: str) -> None:
    """With noise of 0.4 %, stopped at 0.5 %, at least 90 % of intervals hold the true median."""
    held, _, bias = stopped(SEQUENCES[name], 8, 14, repeats=200)

    assert held >= 0.90
    assert abs(bias) < 0.001


def test_a_warm_up_is_waited_for() -> None:
    """A ramp of 2 % over 40 samples: the rule takes 100 samples and more, and its bias is below 0.5 %."""
    _, count, bias = stopped(SEQUENCES["warm-up of 2 % over 40 samples"], 8, 15, repeats=10)

    assert count > 100
    assert -0.005 < bias < 0
