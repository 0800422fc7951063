"""Paired differences: their interval against simulation, and their verdicts."""

from __future__ import annotations

import random

import pytest

from quantroof.analysis.paired import paired_difference


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    """Over 2000 simulated studies of 12 windows 95 % of the intervals hold the true difference."""
    random.seed(4)
    held = 0
    for _ in range(2000):
        base = [random.gauss(3, 1) for _ in range(12)]
        other = [b + 0.1 + random.gauss(0, 0.05) for b in base]
        difference = paired_difference(base, other)
        held += difference.low <= 0.1 <= difference.high

    assert held / 2000 == pytest.approx(0.95, abs=0.02)


def test_pairing_sees_what_means_do_not() -> None:
    """A constant loss of 0.01 is difference under windows that differ by 1."""
    random.seed(1)
    base = [random.gauss(3, 1) for _ in range(50)]
    other = [b + 0.01 + random.gauss(0, 0.001) for b in base]

    difference = paired_difference(base, other)

    assert difference.verdict == "worse"
    assert difference.mean == pytest.approx(0.01, abs=0.001)


def test_a_difference_inside_its_interval_is_undecided() -> None:
    """Alternating differences of either sign decide nothing, equal windows neither."""
    base = [1.0] * 10

    assert paired_difference(base, [1.1, 0.9] * 5).verdict == "undecided"
    assert paired_difference(base, base).verdict == "undecided"


def test_windows_that_follow_one_another_widen_the_interval() -> None:
    """The same 40 differences, sorted, are autocorrelated and count as few windows: undecided."""
    random.seed(3)
    differences = [0.03 + random.gauss(0, 0.05) for _ in range(40)]
    base = [3.0] * 40
    shuffled = paired_difference(base, [3.0 + d for d in differences])
    drifting = paired_difference(base, [3.0 + d for d in sorted(differences)])

    assert shuffled.mean == pytest.approx(drifting.mean)
    assert shuffled.verdict == "worse"
    assert drifting.verdict == "undecided"
    assert drifting.half_width > 3 * shuffled.half_width


@pytest.mark.parametrize("other", [[1.0] * 9, [1.0] * 11])
def test_other_windows_are_refused(other: list[float]) -> None:
    """Sequences of different length are not the same text."""
    with pytest.raises(ValueError, match="not the same text"):
        paired_difference([1.0] * 10, other)


def test_too_few_windows_are_refused() -> None:
    """Below eight windows no interval is given."""
    with pytest.raises(ValueError, match="too few"):
        paired_difference([1.0] * 7, [1.0] * 7)
