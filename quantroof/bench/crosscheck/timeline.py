"""Kernel spans of a timeline grouped into calls: first start to last end, overlaps and all; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.errors import UsageError


@dataclass(frozen=True, slots=True)
class Spans:
    """Nanoseconds from the first start to the last end of each call, which launches `kernels` kernels."""

    spans_ns: list[float]
    kernels: int


def spans(kernels_ns: Sequence[tuple[float, float]], calls: int) -> Spans:
    """Group (start, end) of every kernel into calls: each launches the same number of them, in order."""
    ordered = sorted(kernels_ns)
    if not ordered or len(ordered) % calls:
        raise UsageError(f"{len(ordered)} kernels are no {calls} equal calls")
    size = len(ordered) // calls
    groups = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    return Spans([max(end for _, end in group) - group[0][0] for group in groups], size)
