"""The tails that decide, against published tables and by counting."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from quantroof.analysis.distributions import benjamini_hochberg, signed_rank_tail, t_quantile, t_tail
from quantroof.gate.confirm import hodges_lehmann


@pytest.mark.parametrize(
    ("tail", "freedom", "quantile"),
    [
        (0.025, 1, 12.7062),
        (0.01, 2, 6.9646),
        (0.005, 3, 5.8409),
        (0.025, 10, 2.2281),
        (0.01, 25, 2.4851),
        (0.4, 10, 0.2602),
    ],
)
def test_t_quantiles_are_the_tables(tail: float, freedom: int, quantile: float) -> None:
    """Critical values of Student's t as every table prints them, for odd and even degrees of freedom."""
    assert t_quantile(tail, freedom) == pytest.approx(quantile, abs=5e-5)


def test_t_tail_is_symmetric_and_falls() -> None:
    """P(T > t) + P(T > -t) = 1, one half at 0, and never rising."""
    t = np.linspace(-8, 8, 81)
    tail = t_tail(t, 7)

    assert tail + tail[::-1] == pytest.approx(np.ones(81))
    assert tail[40] == 0.5
    assert (np.diff(tail) <= 0).all()


def test_signed_rank_tail_counts_every_sign() -> None:
    """For six values the p of a sum is the share of the 64 sign patterns that reach it."""
    values = np.array([0.3, -1.1, 2.0, 0.7, 1.6, -0.2])
    patterns = np.array(list(product((-1, 1), repeat=6))) * np.abs(values)
    order = np.argsort(np.argsort(np.abs(values))) + 1
    reached = ((patterns > 0) * order).sum(axis=1) >= ((values > 0) * order).sum()

    assert signed_rank_tail(values[None, :])[0] == pytest.approx(reached.mean())


def test_a_difference_of_zero_speaks_for_neither_side() -> None:
    """Its rank is not in the sum: of 0, 1 and 2 the sum is 5, and 2 of 8 sign patterns reach that."""
    assert signed_rank_tail(np.array([[0.0, 1.0, 2.0]]))[0] == 0.25


@pytest.mark.parametrize(("p", "rejected"), [(0.04, True), (0.06, False)])
def test_a_single_test_is_held_to_the_whole_rate(p: float, *, rejected: bool) -> None:
    """Nothing is shared out where there is one p-value."""
    assert benjamini_hochberg(np.array([p]), 0.05).tolist() == [rejected]


def test_more_than_forty_pairs_are_refused() -> None:
    """The exact distribution is kept for as many pairs as anybody measures."""
    assert signed_rank_tail(np.ones((1, 120)))[0] < 1e-9
    with pytest.raises(ValueError, match="121 pairs"):
        signed_rank_tail(np.ones((1, 121)))


def test_benjamini_hochberg_is_the_papers_example() -> None:
    """Benjamini and Hochberg's 15 p-values: the four smallest are rejected at 0.05."""
    p = np.array(
        [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
         0.6528, 0.7590, 1.0000]
    )  # fmt: skip

    assert benjamini_hochberg(p[::-1].copy(), 0.05).tolist() == [False] * 11 + [True] * 4
    assert benjamini_hochberg(np.array([]), 0.05).tolist() == []


def test_hodges_lehmann_bears_an_outlier() -> None:
    """One value gone far off leaves the estimate where it was; the mean would be 102."""
    rows = np.array([[1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 500]])

    assert hodges_lehmann(rows).tolist() == [3.0, 3.0]
