"""Robust spreads against known values, and the weight of their prior."""

from __future__ import annotations

import numpy as np
import pytest

from quantroof.analysis.spread import moderated_spread, moderated_spreads, moderated_variance, robust_spread


def test_robust_spread_is_the_standard_deviation_of_normal_values_and_bears_an_outlier() -> None:
    """20 000 normal values of deviation 0.02 give 0.02, with one of them gone off by 1000 too."""
    values = np.random.default_rng(1).normal(0, 0.02, 20_000)
    values[0] = 20.0

    assert robust_spread(values, axis=0) == pytest.approx(0.02, rel=0.03)


def test_the_prior_counts_as_six_degrees_of_freedom() -> None:
    """Own 4 with 6 degrees of freedom and a prior of 1 give 2.5; with 594 the own value decides: 3.97."""
    assert moderated_variance(4.0, 1.0, 6) == 2.5
    assert moderated_variance(4.0, 1.0, 594) == pytest.approx(3.97)


def test_a_case_that_ties_borrows_the_spread_of_the_others() -> None:
    """A case that never moved in five runs gets 6/10 of the variance of the two beside it."""
    moved = np.array([-0.01, -0.005, 0.0, 0.005, 0.01])
    history = np.column_stack([np.zeros(5), moved, moved])
    still, first, second = moderated_spreads(history)

    assert first == second == pytest.approx(0.01 / 1.349, rel=1e-3)
    assert still == pytest.approx(first * np.sqrt(0.6))


def test_a_few_values_lean_on_the_prior_and_pay_for_their_median() -> None:
    """One value has the prior's spread and its own uncertainty; 400 equal values outvote a prior of 2 %."""
    assert moderated_spread(np.array([0.3]), 0.02) == pytest.approx(0.02 * np.sqrt(1 + np.pi / 2))
    assert moderated_spread(np.zeros(400), 0.02) < 0.003
    few = np.array([-0.02, 0.02] * 4)
    own = 0.04 / 1.349
    expected = np.sqrt((6 * 0.01**2 + 7 * own**2) / 13 * (1 + np.pi / 16))
    assert moderated_spread(few, 0.01) == pytest.approx(expected)


def test_the_upper_tail_counts_where_it_is_the_wider_one() -> None:
    """Two slow runs of eleven lie outside the quartiles; the tail sees them."""
    history = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.05], [0.05]])

    assert moderated_spreads(history)[0] == pytest.approx(0.05 / 1.2816, rel=1e-3)
