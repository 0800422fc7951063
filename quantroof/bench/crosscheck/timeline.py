"""Kernel spans of a timeline grouped into calls: first start to last end, overlaps and all; pure."""

from __future__ import annotations

from collections.abc import Sequence

from quantroof.errors import UsageError


def spans(kernels_ns: Sequence[tuple[float, float]], calls: int) -> list[float]:
    """Nanoseconds from the first start to the last end of each call's kernels.

    `kernels_ns` are (start, end) of every kernel; each call launches the same number of them, in order.
    """
    ordered = sorted(kernels_ns)
    if not ordered or len(ordered) % calls:
        raise UsageError(f"{len(ordered)} kernels are no {calls} equal calls")
    size = len(ordered) // calls
    groups = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    return [max(end for _, end in group) - group[0][0] for group in groups]
