"""A suite as pytest-benchmark tests, one per case and kernel, on every detected device.

`pytest bench/ --quantroof-suite quick --benchmark-json out.json`, with the extra `quantroof[pytest]`.
"""

from __future__ import annotations

from collections.abc import Callable


def test_case(suite_benchmark: Callable[[], None]) -> None:
    """The kernel computes the case correctly, and its device time goes to pytest-benchmark."""
    suite_benchmark()
