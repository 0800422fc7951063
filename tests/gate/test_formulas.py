"""Bands and pairs, each formula once by hand: one step left out moves a number here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from quantroof.analysis.distributions import t_quantile
from quantroof.gate.band import Bands, process_spread
from quantroof.gate.confirm import ChangeEstimates, hodges_lehmann, paired, remeasured, screen, suspects
from quantroof.gate.environment import Tolerance, findings
from quantroof.records.lines import Flag, Measurement
from tests.gate.made import changed, made_up, times

ONE = np.array([1.0])
BANDS = Bands(np.array([2.0]), 0.01 * ONE, 0.02 * ONE, runs=5)
PREDICTION = 0.01 * math.sqrt(1.2)
T_10, T_15 = 2.2281389, 2.1314495
"""Student's t at 0.975 with 10 (6 of the prior, 5 runs - 1) and 15 degrees (6, 10 pairs - 1): tables."""


def _estimate(change: float, slower_p: float, faster_p: float) -> ChangeEstimates:
    value = np.array([change])
    return ChangeEstimates(value, value, value, np.array([slower_p]), np.array([faster_p]))


def test_a_run_is_held_against_the_band_with_ten_degrees_of_freedom() -> None:
    """Its interval is t times the spread of one more run about a center of five."""
    found = screen(np.array([2.05]), BANDS)

    assert found.change == pytest.approx(0.05)
    assert found.high - found.change == pytest.approx(T_10 * PREDICTION)
    assert found.change - found.low == pytest.approx(T_10 * PREDICTION)


def test_what_is_detectable_adds_what_each_step_asks_and_misses() -> None:
    """10 pairs with 20 more: the A/B beyond 5 % and its own misses, or the screen, whichever is larger."""
    error = 1.05 * 0.02 * math.sqrt(2 / 30)
    by_pairs = 0.05 + t_quantile(0.03, 35) * error
    loose = Bands(ONE, 0.05 * ONE, 0.02 * ONE, runs=5)
    by_screen = (t_quantile(0.15, 10) + t_quantile(0.03, 10)) * 0.05 * math.sqrt(1.2)

    assert BANDS.detectable(10, 0.05 * ONE) == pytest.approx(by_pairs)
    assert loose.detectable(10, 0.01 * ONE) == pytest.approx(by_screen)


def test_the_spread_of_processes_is_corrected_for_its_median() -> None:
    """Five processes have 4 degrees of freedom: the median of chi-squared is (1 - 1/18)^3 of them."""
    medians = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])

    assert process_spread([medians] * 3) == pytest.approx(math.sqrt(2.5 / (1 - 1 / 18) ** 3))


@pytest.mark.parametrize(("p", "faster"), [(0.009, True), (0.012, False)])
def test_a_faster_case_is_suspected_at_one_percent(p: float, *, faster: bool) -> None:
    """A second measurement of what is not slower must be worth it."""
    assert suspects(_estimate(-0.1, 1.0, p), np.zeros(1))[1].tolist() == [faster]


def test_a_pair_has_fifteen_degrees_and_the_prior_of_two_processes() -> None:
    """Ten pairs about 0.1 with a spread of their own, drawn towards that of two processes."""
    differences = np.array([[0.1 + step / 100 for step in (-5, -3, -2, -1, 0, 0, 1, 2, 3, 5)]])
    found = paired(differences, np.array([0.02]))
    own = (np.quantile(differences, 0.75) - np.quantile(differences, 0.25)) / 1.349
    spread = math.sqrt((6 * 2 * 0.02**2 + 9 * own**2) / 15)

    assert found.change == pytest.approx(0.1)
    assert found.high - found.change == pytest.approx(T_15 * 1.05 * spread / math.sqrt(10))


def test_pairs_that_tie_have_an_interval_of_a_billionth() -> None:
    """A division by an error of zero would make any tie significant."""
    found = paired(np.full((1, 10), 0.25), np.zeros(1))

    assert float(found.high[0]) - 0.25 == pytest.approx(T_15 * 1e-9, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "p", "expected"),
    [
        (0.02, 0.004, (True, False)), (0.02, 0.006, (False, False)), (0.014, 0.004, (False, False)),
        (-0.02, 0.004, (False, True)), (-0.02, 0.006, (False, False)), (-0.014, 0.004, (False, False)),
    ],
)  # fmt: skip
def test_measured_again_a_case_must_pass_both_limits(
    change: float, p: float, expected: tuple[bool, bool]
) -> None:
    """1.5 % and p below 0.005, in either direction."""
    estimate = _estimate(change, p if change > 0 else 1.0, p if change < 0 else 1.0)
    slower, faster = remeasured(estimate, np.zeros(1))

    assert (slower[0], faster[0]) == expected


def test_hodges_and_lehmann_take_the_median_of_all_pairwise_means() -> None:
    """1, 2, 6: the means are 1, 1.5, 2, 3.5, 4 and 6."""
    assert hodges_lehmann(np.array([[1.0, 2.0, 6.0]])).tolist() == [2.75]


@pytest.mark.parametrize(("more", "moved"), [(0, False), (1, True)])
def test_a_quarter_of_the_lines_may_have_a_moved_clock(more: int, *, moved: bool) -> None:
    """A clock that wanders is common; beyond a quarter of measurements and anchors no verdict is drawn."""
    run = made_up(1, 40)
    lines = len(run.measurements) + len(run.anchors)
    left = lines // 4 + more

    def flagged(line: Measurement) -> Measurement:
        nonlocal left
        left -= 1
        return replace(line, flags=(Flag(code="clock_moved", text="x"),)) if left >= 0 else line

    found = findings(times(changed(run, flagged)), None, Tolerance())
    assert any(finding.code == "clock_moved" for finding in found) is moved
