"""Estimates whose value follows from the definition: intervals, ratios, paired and robust spreads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from quantroof.analysis.case_time import case_time
from quantroof.analysis.distributions import t_quantile
from quantroof.analysis.paired import Difference, paired_difference
from quantroof.analysis.ratio import judge_ratio, ratio_interval
from quantroof.analysis.spread import moderated_spread, moderated_spreads
from quantroof.analysis.statistics import Interval, effective_count, effective_count_by_sides, trend
from tests.builders import gpu_device, measurement


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.051, 1.2, "slower"),
        (1.049, 1.2, "undecided"),
        (0.8, 0.951, "faster"),
        (0.8, 0.953, "undecided"),
        (0.953, 1.049, "same"),
        (0.951, 1.049, "undecided"),
        (0.953, 1.051, "undecided"),
        (0.5, 1.9, "undecided"),
    ],
)
def test_a_ratio_is_judged_by_its_whole_interval(low: float, high: float, verdict: str) -> None:
    """With a floor of 5 % the limits are 1.05 and 1 / 1.05 = 0.952, a case on each side of both."""
    assert judge_ratio(Interval(math.sqrt(low * high), low, high, 9), 0.05) == verdict


def test_the_limits_of_a_ratio_add_in_squares_of_their_logarithms() -> None:
    """3 and 4 % one way are 5 %, 5 and 12 % the other way are 13 %; the poorer side gives the samples."""
    base = Interval(200.0, 200 * math.exp(-0.12), 200 * math.exp(0.04), 7)
    now = Interval(500.0, 500 * math.exp(-0.03), 500 * math.exp(0.05), 30)
    ratio = ratio_interval(base, now)

    assert (ratio.median, ratio.samples) == (2.5, 7)
    assert math.log(ratio.low / 2.5) == pytest.approx(-0.05)
    assert math.log(ratio.high / 2.5) == pytest.approx(0.13)


def test_a_half_width_is_half_the_interval_as_a_share_of_the_median() -> None:
    """From 8 to 14 about 10: 30 %."""
    assert Interval(10.0, 8.0, 14.0, 9).relative_half_width == pytest.approx(0.3)


def test_equal_samples_count_in_full() -> None:
    """They do not vary, so they are not correlated either."""
    assert effective_count([5.0] * 50) == effective_count_by_sides([5.0] * 50) == 50


def test_a_slow_wave_is_worth_one_sample_and_not_less() -> None:
    """100 samples of one sine wave: 0.99 of correlation would leave half a sample."""
    assert effective_count([math.sin(2 * math.pi * i / 100) for i in range(100)]) == 1.0


@pytest.mark.parametrize(
    ("sides", "correlation"),
    [
        ("+++----+++----++", 7 / 16),
        ("++++---++---++--", 5 / 16),
        ("+++--++---++---+", None),
        ("+++--+++-0-++----", 4 / 16),
    ],
)
def test_sides_count_beyond_the_error_of_their_correlation(sides: str, correlation: float | None) -> None:
    """Neighbors that agree less those that do not: 5 of 16 are beyond 1 / sqrt(16), 3 are not. A sample at
    the median is on neither side. One far sample hides all that from the correlation of the values.
    """
    values = [{"+": 1.0, "-": -1.0, "0": 0.0}[side] for side in sides]
    values[0] = 1000.0
    r = None if correlation is None else math.sin(math.pi / 2 * correlation)
    count = len(sides) if r is None else len(sides) * (1 - r) / (1 + r)

    assert effective_count(values) == pytest.approx(len(sides), rel=0.01)
    assert effective_count_by_sides(values) == pytest.approx(count, rel=0.01)


def test_three_samples_show_a_trend_two_do_not() -> None:
    """1 / sqrt(n - 1) is one error: three in order are sqrt(2) of them."""
    assert trend([1.0, 2.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert trend([1.0, 2.0]) == 0.0


def test_an_imported_time_has_the_spread_that_its_source_gives() -> None:
    """1000 ns and 3 %: 970 to 1030, of one sample. Two of them are pooled like any other samples."""
    line = measurement(gpu_device(), "bf16", 1, (4096, 4096), 1000.0)
    assert line.timing is not None
    lines = [
        replace(line, process=i, timing=replace(line.timing, samples_ns=(ns,), spread=0.03))
        for i, ns in enumerate((1000.0, 1100.0))
    ]
    one, two = case_time(lines[:1]), case_time(lines)

    assert one is not None
    assert two is not None
    assert (one.interval, one.basis) == (Interval(1000.0, 970.0, 1030.0, 1), "samples")
    assert (two.interval, two.basis) == (Interval(1050.0, 1000.0, 1100.0, 2), "samples")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.5, 2.0, "worse"), (0.0, 2.0, "undecided"), (-2.0, 0.0, "undecided"), (-2.0, -0.5, "better"),
     (-0.5, 0.5, "undecided")],
)  # fmt: skip
def test_a_difference_is_decided_where_zero_lies_outside(low: float, high: float, verdict: str) -> None:
    """An interval that just touches zero holds it; the half width is half its width."""
    difference = Difference((low + high) / 2, low, high, 9)

    assert difference.verdict == verdict
    assert difference.half_width == (high - low) / 2


def _student(differences: list[float], count: float, freedom: int) -> float:
    return t_quantile(0.025, freedom) * float(np.std(differences, ddof=1)) / math.sqrt(count)


def test_eight_windows_are_enough_and_worth_at_least_two() -> None:
    """Two blocks of four are worth 1.85 windows: two are taken, with 7 degrees of freedom."""
    differences = [0.0] * 4 + [1.0] * 4
    found = paired_difference([3.0] * 8, [3.0 + d for d in differences])

    assert effective_count(differences) == pytest.approx(24 / 13)
    assert found.half_width == pytest.approx(_student(differences, 2, 7))


@pytest.mark.parametrize(("windows", "freedom"), [(8, 7), (10, 9), (40, 39), (400, 200)])
def test_independent_windows_count_with_one_degree_less_up_to_two_hundred(windows: int, freedom: int) -> None:
    """Alternating differences count in full; of 400 the t of 200 degrees is taken, 1.97190."""
    differences = [1.0, -2.0] * (windows // 2)
    found = paired_difference([5.0] * windows, [5.0 + d for d in differences])

    assert found.mean == pytest.approx(-0.5)
    assert found.half_width == pytest.approx(_student(differences, windows, freedom), rel=1e-6)
    assert (found.low + found.high) / 2 == pytest.approx(-0.5)
    assert t_quantile(0.025, 200) == pytest.approx(1.971896, abs=2e-6)


def test_no_case_has_no_spread_and_two_values_have_one() -> None:
    """Without columns there is nothing to return; of two values the own spread counts with one degree."""
    assert moderated_spreads(np.empty((5, 0))).tolist() == []
    own = 0.5 * 4.0 / 1.349
    expected = math.sqrt((6 * 1.0 + own**2) / 7 * (1 + math.pi / 4))
    assert moderated_spread(np.array([0.0, 4.0]), 1.0) == pytest.approx(expected)
