"""Which roof a case follows, with a case on each side of both limits."""

from __future__ import annotations

import pytest

from quantroof.analysis.balance import RoofFollowed, compute_share, compute_share_of, roof_followed
from quantroof.analysis.roofs import Roofs
from quantroof.kernels.cases import Case
from quantroof.records.lines import parsed_case


@pytest.mark.parametrize(
    ("share", "roof"),
    [(0.0, "memory"), (0.33, "memory"), (0.34, "both"), (0.66, "both"), (0.67, "compute"), (1.0, "compute")],
)
def test_between_one_third_and_two_thirds_a_case_follows_both(share: float, roof: RoofFollowed) -> None:
    """0.33 and 0.67 follow one roof, 0.34 and 0.66 both."""
    assert roof_followed(share) == roof


def test_the_share_is_compute_time_over_the_sum() -> None:
    """2 s of computing beside 6 s of reading are a quarter."""
    assert compute_share(200.0, 60.0, rate=100.0, bandwidth=10.0) == 0.25


def _case(text: str) -> Case:
    return parsed_case(text)


def test_a_conversion_multiplies_nothing() -> None:
    """Its compute share is 0 on any roofs; a product without a matrix rate has no share."""
    roofs = Roofs("measured", {"read": 3e12}, {})

    assert compute_share_of(_case("dequantize/int4.g128-bf16-bf16/m1-n4096-k4096"), roofs) == 0.0
    assert compute_share_of(_case("gemm/bf16-bf16-bf16/m4096-n8192-k8192"), roofs) is None
