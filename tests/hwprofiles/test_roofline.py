"""The roofline formulas at and beside the ridge."""

from __future__ import annotations

import pytest

from quantroof.hwprofiles.roofline import Bound, arithmetic_intensity, attainable_seconds, bound, ridge_point


@pytest.mark.parametrize(("flops", "roof"), [(299.0, "memory"), (300.0, "compute"), (301.0, "compute")])
def test_a_case_at_the_ridge_is_compute_bound(flops: float, roof: Bound) -> None:
    """With 100 operations/s and 10 bytes/s the ridge of a 30 byte case is at 300 operations."""
    assert ridge_point(100.0, 10.0) == 10.0
    assert bound(flops, 30.0, 100.0, 10.0) == roof


def test_the_later_roof_sets_the_time() -> None:
    """3 s of reading hide 2 s of computing."""
    assert attainable_seconds(200.0, 30.0, 100.0, 10.0) == 3.0


def test_operations_per_byte_need_a_byte() -> None:
    """One byte is enough; none is refused by its own words."""
    assert arithmetic_intensity(300.0, 1) == 300.0
    assert arithmetic_intensity(300.0, 30) == 10.0
    with pytest.raises(ValueError, match="bytes_moved must be positive"):
        arithmetic_intensity(300.0, 0)
