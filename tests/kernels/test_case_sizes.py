"""Sizes in a case id have at most 15 digits: no machine has more, and their product must stay a float."""

from __future__ import annotations

import math

import pytest

from quantroof.errors import UsageError
from quantroof.kernels.cases import Case
from quantroof.kernels.formats import Format

IDS = (
    "gemm/bf16-bf16-bf16/m{}-n4096-k4096",
    "decode_attention/bf16-bf16-bf16/b8-h32-g8-d128-c{}",
    "grouped_gemm/bf16-bf16-bf16/t16-p8-e128-n{}-k2048-uniform",
    "call/softmax/bf16/M={},N=4096",
)


@pytest.mark.parametrize("text", IDS, ids=lambda text: text.partition("/")[0])
def test_a_size_has_at_most_fifteen_digits(text: str) -> None:
    """15 are read and counted; a 16th is refused by its own words, like 400 of them."""
    case = Case.parse(text.format("9" * 15))
    assert math.isfinite(float(case.flops) * case.bytes_moved)

    for digits in (16, 400):
        with pytest.raises(UsageError, match="a size of more than 15 digits"):
            Case.parse(text.format("9" * digits))


@pytest.mark.parametrize("digits", [16, 5000])
def test_a_group_has_at_most_fifteen_digits(digits: int) -> None:
    """Python itself refuses to read 5,000 digits, with an error of its own."""
    with pytest.raises(UsageError, match="is not a number format"):
        Format.parse(f"int4.g{'1' * digits}")


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ("t64-p1-e262144-n8-k8-counts.0x64", "262144 experts are more than 65536"),
        ("t131073-p1-e128-n8-k8-uniform", "131073 tokens over 128 experts are too many"),
        ("t4-p1-e64-n8-k8-zipf8.1", "the power of a zipf routing is at most 8"),
    ],
)
def test_a_routing_is_drawn_in_seconds_or_refused(sizes: str, words: str) -> None:
    """A line of a run names a case; reading it must not draw experts for hours or divide by a weight of 0."""
    with pytest.raises(UsageError, match=words):
        Case.parse(f"grouped_gemm/bf16-bf16-bf16/{sizes}")


def test_a_steep_routing_has_weights() -> None:
    """At the steepest power allowed the last of 64 experts may still be chosen, and every row is counted."""
    case = Case.parse("grouped_gemm/bf16-bf16-bf16/t4-p64-e64-n8-k8-zipf8")

    assert case.m == 4 * 64
    assert case.bytes_moved == 2 * (64 * 8 * 8 + 256 * 8 + 256 * 8)
