"""Statistics on examples where one step of a formula decides; each value follows from the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantroof.analysis.distributions import t_quantile
from quantroof.analysis.paired import MIN_WINDOWS, paired_difference
from quantroof.analysis.spread import TINY, moderated_spread, moderated_spreads
from quantroof.analysis.statistics import effective_count, trend


def test_a_ramp_is_worth_a_two_hundredth_of_its_samples() -> None:
    """Its lag-1 correlation is capped at 0.99: (1 - 0.99) / (1 + 0.99) of 2,000 samples, not 1.5 of them."""
    assert effective_count(range(2000)) == pytest.approx(2000 * 0.01 / 1.99)


@pytest.mark.parametrize(("values", "errors"), [((1, 2, 3, 4), math.sqrt(3)), ((4, 3, 2, 1), -math.sqrt(3))])
def test_the_trend_of_a_ramp_is_the_largest_there_is(values: tuple[int, ...], errors: float) -> None:
    """A rank correlation of 1 (or -1) of n values, in units of 1 / sqrt(n - 1)."""
    assert trend(values) == pytest.approx(errors)


def test_few_correlated_windows_keep_seven_degrees_of_freedom() -> None:
    """Ten windows in two blocks are worth two or three, but the t interval never has fewer than 7 degrees."""
    differences = [1.0] * 5 + [2.0] * 5
    found = paired_difference([0.0] * 10, differences)
    count = max(2.0, effective_count(differences))
    spread = math.sqrt(sum((d - 1.5) ** 2 for d in differences) / 9 / count)

    assert count < MIN_WINDOWS
    assert found.half_width == pytest.approx(t_quantile(0.025, 7) * spread)


def test_cases_that_tie_still_have_a_spread() -> None:
    """A band of width 0 would call every later tick a change: one millionth is the least."""
    assert TINY == 1e-6
    assert moderated_spreads(np.full((5, 3), 2.0)).tolist() == [1e-6] * 3


def test_the_spread_of_a_few_values_has_the_medians_own_error() -> None:
    """None and one value: the prior, and a whole median. Four: theirs, drawn to it, and a quarter."""
    ratio = math.pi / 2
    values = np.array([0.0, 1.0, 2.0, 3.0])
    variance = (6 * 0.5**2 + 3 * (1.5 / 1.349) ** 2) / 9

    assert moderated_spread(values[:0], 0.5) == pytest.approx(0.5 * math.sqrt(1 + ratio))
    assert moderated_spread(values[:1], 0.5) == pytest.approx(0.5 * math.sqrt(1 + ratio))
    assert moderated_spread(values, 0.5) == pytest.approx(math.sqrt(variance * (1 + ratio / 4)))


def test_a_long_upper_tail_widens_a_case() -> None:
    """One case in three has its tenth run at 10: the quantile above its median counts, not its quartiles."""
    history = np.tile(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])[:, None], (1, 3))
    history[-2:, 0] = 60.0
    own = np.maximum([4.5 / 1.349] * 3, (np.quantile(history, 0.9, axis=0) - 4.5) / 1.2816) ** 2

    expected = np.sqrt((6 * np.median(own) + 9 * own) / 15)
    assert moderated_spreads(history) == pytest.approx(expected)
