"""The roofline model (Williams, Waterman, Patterson, CACM 52(4), 2009): pure formulas, SI units."""

from __future__ import annotations

from typing import Literal

Bound = Literal["memory", "compute"]


def arithmetic_intensity(flops: float, bytes_moved: float) -> float:
    """Operations per byte of compulsory DRAM traffic."""
    if bytes_moved <= 0:
        raise ValueError("bytes_moved must be positive")
    return flops / bytes_moved


def ridge_point(peak_flops_per_s: float, bandwidth_bytes_per_s: float) -> float:
    """Arithmetic intensity (operations/byte) at which the memory roof meets the compute roof."""
    return peak_flops_per_s / bandwidth_bytes_per_s


def attainable_seconds(
    flops: float, bytes_moved: float, peak_flops_per_s: float, bandwidth_bytes_per_s: float
) -> float:
    """Shortest time the two roofs allow: max(flops / peak, bytes / bandwidth)."""
    return max(flops / peak_flops_per_s, bytes_moved / bandwidth_bytes_per_s)


def bound(flops: float, bytes_moved: float, peak_flops_per_s: float, bandwidth_bytes_per_s: float) -> Bound:
    """Which roof a workload meets first."""
    at_compute = flops / peak_flops_per_s >= bytes_moved / bandwidth_bytes_per_s
    return "compute" if at_compute else "memory"
