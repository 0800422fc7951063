"""Which roof bounds a case: the share of its time spent on computing, by its two roofs."""

from __future__ import annotations

from typing import Literal

from quantroof.analysis.roofs import Roofs
from quantroof.kernels.cases import Case

RoofFollowed = Literal["memory", "compute", "both"]

_MEMORY_BELOW, _COMPUTE_ABOVE = 1 / 3, 2 / 3


def compute_share(flops: float, bytes_moved: float, rate: float, bandwidth: float) -> float:
    """Compute time over compute + memory time, each at its roof (operations/s, bytes/s)."""
    if not flops:
        return 0.0
    compute, memory = flops / rate, bytes_moved / bandwidth
    return compute / (compute + memory)


def compute_share_of(case: Case, roofs: Roofs) -> float | None:
    """The share of a case by the roofs of its device; None if one of the two is unknown."""
    rate, bandwidth = roofs.rate(case), roofs.read_bandwidth()
    if rate is None or bandwidth is None:
        return None
    return compute_share(case.flops, case.bytes_moved, rate, bandwidth)


def roof_followed(share: float) -> RoofFollowed:
    """The roof that a case's time moves with, from its compute share.

    A case between one third and two thirds follows both: how a kernel overlaps the two is unknown there.
    """
    if share < _MEMORY_BELOW:
        return "memory"
    return "compute" if share > _COMPUTE_ABOVE else "both"
