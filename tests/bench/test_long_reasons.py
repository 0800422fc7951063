"""A kernel whose error has a text of megabytes: the record keeps what a person reads."""

from __future__ import annotations

from quantroof.bench.failures import reason


def test_a_reason_is_cut() -> None:
    """A word to its first 60 characters, a text to 2,000, each with its whole length."""
    assert reason(ValueError("x" * 5_000_000), "build") == f"ValueError: {'x' * 60}... (5000000 characters)"
    assert len(reason(ValueError("y " * 2_500_000), "build")) < 2100
