"""The node's own times of linear layers, by format and shape, and how well they predict one another."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from quantroof.analysis.case_time import case_time, grouped
from quantroof.records.lines import TIMED, Measurement

Shape = tuple[int, int]
# A layer of another shape stands in for one that is at most this many times larger or smaller.
NEAREST_FACTOR = 4.0
# The band of an interpolation where there are too few points to leave one out.
UNTESTED_BAND = 0.25


@dataclass(frozen=True, slots=True)
class KernelTime:
    """The fastest correct kernel of one case: seconds with the 95 % interval, and power where it was read."""

    m: int
    seconds: float
    low: float
    high: float
    kernel: str
    power_w: float | None = None


@dataclass(frozen=True, slots=True)
class LayerTime:
    """Seconds, a relative band, and whether exactly this case was measured."""

    seconds: float
    low: float
    high: float
    exact: bool
    power_w: float | None = None


@dataclass(frozen=True)
class TimingTable:
    """Measured times of one device: format name -> shape (N, K) -> points by rising M."""

    points: dict[str, dict[Shape, list[KernelTime]]] = field(default_factory=dict)
    unusable: str | None = None
    """Why nothing may be concluded from these times."""
    without_kernel: frozenset[str] = frozenset()
    """Formats that no kernel of the run's device makes."""
    _bands: dict[str, float] = field(default_factory=dict)

    def predict(self, scheme: str, shape: Shape, m: int) -> LayerTime | None:
        """The time of a layer: measured, else interpolated in log M or from the nearest shape; else None."""
        shapes = self.points.get(scheme, {})
        for timed in shapes.get(shape, []):
            if timed.m == m:
                return LayerTime(timed.seconds, timed.low, timed.high, exact=True, power_w=timed.power_w)
        nearest = _from_nearest(shapes, shape, m)
        if nearest is None:
            return None
        seconds, power = nearest
        band = self.band(scheme)
        return LayerTime(seconds, seconds / (1 + band), seconds * (1 + band), exact=False, power_w=power)

    def band(self, scheme: str) -> float:
        """Relative error of predicting every measured point from the others: their 90th percentile."""
        if scheme not in self._bands:
            errors = sorted(_leave_one_out(self.points.get(scheme, {})))
            enough = len(errors) >= 3
            self._bands[scheme] = errors[math.ceil(0.9 * len(errors)) - 1] if enough else UNTESTED_BAND
        return self._bands[scheme]

    def dips(self) -> list[str]:
        """Where a larger batch was measured faster than a smaller one, beyond both intervals."""
        return [
            f"{scheme} {n}x{k} takes {b.seconds * 1e6:.4g} us at M={b.m}, {a.seconds * 1e6:.4g} us at M={a.m}"
            for scheme, shapes in self.points.items()
            for (n, k), points in shapes.items()
            for a, b in pairwise(points)
            if b.high < a.low
        ]


def table_of(measurements: Iterable[Measurement], device: str) -> TimingTable:
    """Collect the fastest correct kernel of every case of a device, timed cold.

    The time of a kernel is `analysis.case_time`'s over all its processes, never that of its fastest process.
    """
    lines = (line for line in measurements if line.device == device and _is_cold(line))
    fastest: dict[str, dict[Shape, dict[int, KernelTime]]] = defaultdict(lambda: defaultdict(dict))
    for (_, _, kernel), own in grouped(lines).items():
        case, timed = own[0].parsed_case, _timed(kernel, own)
        by_m = fastest[case.scheme][case.n, case.k]
        if case.m not in by_m or timed.seconds < by_m[case.m].seconds:
            by_m[case.m] = timed
    return TimingTable(
        {s: {shape: [by[m] for m in sorted(by)] for shape, by in t.items()} for s, t in fastest.items()}
    )


def _is_cold(line: Measurement) -> bool:
    """Whether a line was timed correctly with cold weights, as a served model reads them."""
    return line.status in TIMED and line.timing is not None and line.timing.cache == "cold"


def _timed(kernel: str, lines: list[Measurement]) -> KernelTime:
    """One kernel's time of one case from the lines of all processes, and the median of their power."""
    time = case_time(lines)
    assert time is not None, "lines without a timing are left out before"
    seconds, low, high = (ns / 1e9 for ns in (time.interval.median, time.interval.low, time.interval.high))
    powers = [line.state.power_w for line in lines if line.state and line.state.power_w is not None]
    power = median(powers) if powers else None
    return KernelTime(lines[0].parsed_case.m, seconds, low, high, kernel, power)


def _from_nearest(
    shapes: dict[Shape, list[KernelTime]], shape: Shape, m: int
) -> tuple[float, float | None] | None:
    """Seconds and power from the nearest shape that covers M, scaled by N K as bytes and operations are."""
    size = shape[0] * shape[1]
    for n, k in sorted(
        shapes, key=lambda s: (abs(math.log(s[0] * s[1] / size)), abs(math.log(s[1] / shape[1])))
    ):
        if not 1 / NEAREST_FACTOR <= n * k / size <= NEAREST_FACTOR:
            return None
        at = _interpolate(shapes[n, k], m)
        if at is not None:
            return at[0] * size / (n * k), at[1]
    return None


def _interpolate(points: list[KernelTime], m: int) -> tuple[float, float | None] | None:
    """Log-log between the neighbors in M; beyond the largest M as repeats of it; None below the smallest."""
    last = points[-1]
    if m >= last.m:
        return last.seconds * m / last.m, last.power_w
    for a, b in pairwise(points):
        if a.m <= m <= b.m:
            share = math.log(m / a.m) / math.log(b.m / a.m)
            powers = [p.power_w for p in (a, b) if p.power_w is not None]
            power = median(powers) if len(powers) == 2 else None
            return a.seconds ** (1 - share) * b.seconds**share, power
    return None


def _leave_one_out(shapes: dict[Shape, list[KernelTime]]) -> Iterable[float]:
    for shape, points in shapes.items():
        for i, timed in enumerate(points):
            rest = dict(shapes)
            rest[shape] = points[:i] + points[i + 1 :]
            inside = 0 < i < len(points) - 1
            if not inside:  # the ends cannot be interpolated: predict them from the other shapes alone
                del rest[shape]
            predicted = _from_nearest(rest, shape, timed.m)
            if predicted is not None:
                yield abs(predicted[0] / timed.seconds - 1)
