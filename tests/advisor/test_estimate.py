"""Sums of estimates: a total is only as well known as its parts."""

from __future__ import annotations

import pytest

from quantroof.advisor.estimate import Estimate, Source, total


def _estimate(seconds: float, floor: float | None, source: Source = "measured") -> Estimate:
    return Estimate(seconds=seconds, low=0.9 * seconds, high=1.1 * seconds, floor=floor, source=source)


@pytest.mark.parametrize(("floor", "whole"), [(0.5, 1.5), (None, None)])
def test_a_total_has_a_roof_only_where_every_part_has_one(floor: float | None, whole: float | None) -> None:
    """A part without a known roof leaves the sum without one: the roof of the rest would be too low."""
    found = total([_estimate(2.0, 1.0), _estimate(1.0, floor)])

    assert found.floor == whole
    assert (found.seconds, found.low, found.high) == pytest.approx((3.0, 2.7, 3.3))


def test_a_total_is_as_good_as_its_weakest_part() -> None:
    """Measured and modeled parts add up to a modeled time."""
    assert total([_estimate(1.0, 1.0), _estimate(1.0, 1.0, "interpolated")]).source == "interpolated"
    assert total([_estimate(1.0, 1.0, "modeled"), _estimate(1.0, 1.0, "interpolated")]).source == "modeled"
