"""Batches at which the fastest format changes: by formula, and in the node's own measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from quantroof.advisor.interpolation import KernelTime
from quantroof.hwprofiles.roofline import Bound

CaseBound = Literal["memory", "compute", "launch"]


class Crossing(msgspec.Struct, frozen=True, kw_only=True):
    """The batch from which the baseline is at least as fast, with the band that the intervals allow.

    `low` and `high` are None if the noise lets it leave the measured batches on that side.
    """

    batch: float
    low: float | None
    high: float | None


class SpeedUp(msgspec.Struct, frozen=True, kw_only=True):
    """A speed-up as the product of two ratios: fewer bytes (or operations), and the rate they move at."""

    total: float
    work: float
    rate: float
    bound: Bound


def ridge_batch(bits_per_weight: float, flops_per_s: float, bytes_per_s: float) -> float:
    """Rows M at which a wide layer leaves the memory roof, weights alone: 2 M / (b / 8) = F / BW."""
    return bits_per_weight / 8 * flops_per_s / (2 * bytes_per_s)


def case_bound(roof: Bound, roof_seconds: float, launch_s: float) -> CaseBound:
    """What holds a case back: a launch that takes longer than either roof, or the roof itself."""
    return "launch" if launch_s > roof_seconds else roof


def decompose(base: KernelTime, other: KernelTime, work: tuple[float, float], bound: Bound) -> SpeedUp:
    """Speed-up of `other` over `base`. `work` is (base, other): bytes where memory binds, else operations."""
    total = base.seconds / other.seconds
    ratio = work[0] / work[1]
    return SpeedUp(total=total, work=ratio, rate=total / ratio, bound=bound)


def crossing(base: Sequence[KernelTime], other: Sequence[KernelTime]) -> Crossing | None:
    """Last batch from which `other`, faster below, is not faster than `base`; log-log in between.

    Small layers may dip once and recover, so an earlier crossing decides nothing. The band takes the ends of
    both 95 % intervals: as early as the noise allows, and as late. None if the curves share fewer than two
    batches, `other` is slower from the start, or never falls behind.
    """
    theirs = {point.m: point for point in other}
    shared = [(point, theirs[point.m]) for point in base if point.m in theirs]
    if len(shared) < 2:
        return None
    batch = _zero([(a.m, a.seconds, b.seconds) for a, b in shared])
    if batch is None:
        return None
    low = _zero([(a.m, a.low, b.high) for a, b in shared])
    high = _zero([(a.m, a.high, b.low) for a, b in shared])
    return Crossing(batch=batch, low=low, high=high)


def _zero(points: Sequence[tuple[int, float, float]]) -> float | None:
    """Where log(base / other) falls through 0 for the last time, linear in log M."""
    gaps = [(math.log(m), math.log(base / other)) for m, base, other in points]
    for (x0, y0), (x1, y1) in reversed(list(pairwise(gaps))):
        if y0 > 0 >= y1:
            return math.exp(x0 + (x1 - x0) * y0 / (y0 - y1))
    return None
