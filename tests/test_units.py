"""Numbers as people read them."""

from __future__ import annotations

import pytest

from quantroof import units


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0, 3, "0"),
        (12.345, 3, "12.3"),
        (999.7, 3, "1000"),
        (0.012345, 3, "0.0123"),
        (1234.0, 3, "1230"),
        (9.996, 3, "10.0"),
    ],
)
def test_significant_rounds_before_it_places_the_point(value: float, digits: int, expected: str) -> None:
    """The number of digits holds across a carry, and there is never an exponent."""
    assert units.significant(value, digits) == expected


def test_si_and_time_choose_the_prefix_after_rounding() -> None:
    """999.96e9 reads as 1.00 T, not 1000 G."""
    assert units.si(4.49e12, "B/s") == "4.49 TB/s"
    assert units.si(999.96e9, "B/s") == "1.00 TB/s"
    assert units.time(12_345.0) == "12.3 µs"
    assert units.time(999_960.0) == "1.00 ms"


def test_absent_reads_as_a_dash() -> None:
    """No unit follows what was not reported."""
    texts = [
        units.si(None, "B/s"),
        units.time(None),
        units.percent(None),
        units.change(None),
        units.size(None),
    ]

    assert set(texts) == {units.NONE}


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1.0, "0.0 %"), (1.0004, "0.0 %"), (0.9996, "0.0 %"), (1.0006, "+0.1 %"), (0.9994, "-0.1 %")],
)
def test_a_change_that_rounds_to_nothing_has_no_sign(ratio: float, expected: str) -> None:
    """Neither `+0.0 %` nor `-0.0 %`: both read as a direction."""
    assert units.change(ratio) == expected


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (2e-5, "1 in 50,000 by chance"),
        (0.0123, "1 in 80 by chance"),
        (1.1e-12, "1 in 900,000,000,000 by chance"),
        (0.9e-12, "less than 1 in 10^12 by chance"),
    ],
)
def test_a_p_value_reads_as_odds(p: float, expected: str) -> None:
    """One digit of the odds; what is below the rounding of the tail has no digits."""
    assert units.chance(p) == expected
