"""The node's own times of linear layers, by format and shape, and how well they predict one another."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from quantroof.advisor.interpolation import KernelTime, Shape, at_batch, at_shape, batch_errors, shape_errors
from quantroof.advisor.layer_times import LayerTimes
from quantroof.analysis.case_time import case_time, grouped
from quantroof.kernels.case import LAYER_OPERATIONS
from quantroof.records.jsonl import collector_paused
from quantroof.records.lines import HAVE_TIMES, Measurement

# The band of an interpolation where there are too few points to leave one out.
UNTESTED_BAND = 0.25
_LAYERS = tuple(f"{operation}/" for operation in LAYER_OPERATIONS)
_ENOUGH = 3


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

    points: Mapping[str, dict[Shape, list[KernelTime]]] = field(default_factory=dict)
    unusable: str | None = None
    """Why nothing may be concluded from these times."""
    without_kernel: frozenset[str] = frozenset()
    """Formats that no kernel of the run's device makes."""
    imported: str | None = None
    """Whose times these are, if others measured them elsewhere."""
    layers: LayerTimes = field(default_factory=LayerTimes)
    """Attention, layers of experts and all-reduces that the run holds."""
    products: Mapping[str, list[KernelTime]] = field(default_factory=dict)
    """Grouped products of experts that this node timed, as `own_experts` names them."""
    _bands: dict[tuple[str, bool], float] = field(default_factory=dict)
    _predicted: dict[tuple[str, Shape, int], LayerTime | None] = field(default_factory=dict)

    def predict(self, scheme: str, shape: Shape, m: int) -> LayerTime | None:
        """The time of a layer: as timed, else interpolated in log N, K and M, or from the nearest shape."""
        if scheme not in self.points:
            return None
        key = scheme, shape, m
        if key not in self._predicted:
            self._predicted[key] = self._predict(scheme, shape, m)
        return self._predicted[key]

    def _predict(self, scheme: str, shape: Shape, m: int) -> LayerTime | None:
        shapes = self.points[scheme]
        for timed in shapes.get(shape, []):
            if timed.m == m:
                return LayerTime(timed.seconds, timed.low, timed.high, exact=True, power_w=timed.power_w)
        value = at_shape(shapes, shape, m)
        if value is None:
            return None
        seconds, power = value
        own = shape in shapes and at_batch(shapes[shape], m) is not None
        band = self.band(scheme) if own else self.band(scheme, other_shape=True)
        return LayerTime(seconds, seconds / (1 + band), seconds * (1 + band), exact=False, power_w=power)

    def band(self, scheme: str, *, other_shape: bool = False) -> float:
        """90th percentile of the errors of predicting points without themselves, or without their shape.

        Where too few shapes can be left out: the stated band, or that of batches if it is larger.
        """
        key = scheme, other_shape
        if key not in self._bands:
            shapes = self.points.get(scheme, {})
            errors = sorted(shape_errors(shapes) if other_shape else batch_errors(shapes))
            if len(errors) >= _ENOUGH:
                self._bands[key] = errors[math.ceil(0.9 * len(errors)) - 1]
            else:
                self._bands[key] = max(UNTESTED_BAND, self.band(scheme)) if other_shape else UNTESTED_BAND
        return self._bands[key]

    def dips(self, schemes: Collection[str]) -> tuple[int, str | None]:
        """How often a larger batch of some formats was timed faster than a smaller one; the worst case.

        Only what is beyond both intervals counts.
        """
        pairs = [
            (a.seconds / b.seconds, f"{scheme} {n}x{k} takes {_us(b)}, {_us(a)}")
            for scheme in self.points
            if scheme.partition("-g")[0] in schemes
            for (n, k), points in self.points[scheme].items()
            for a, b in pairwise(points)
            if b.high < a.low
        ]
        return len(pairs), max(pairs)[1] if pairs else None


def _us(timed: KernelTime) -> str:
    return f"{timed.seconds * 1e6:.4g} us at M={timed.m}"


def is_cold(line: Measurement) -> bool:
    """Whether a line was timed correctly with cold weights, as a served model reads them."""
    return line.status in HAVE_TIMES and line.timing is not None and line.timing.cache == "cold"


def table_of(measurements: Iterable[Measurement], device: str, *, warm: bool = False) -> TimingTable:
    """Collect the fastest correct kernel of every case of a device, timed cold; or `warm` too.

    The time of a kernel is `analysis.case_time`'s over all its processes, never that of its fastest process.
    """
    lines = (line for line in measurements if line.device == device and (warm or is_cold(line)))
    lines = (line for line in lines if line.case.startswith(_LAYERS))
    by_formats: dict[str, list[Measurement]] = defaultdict(list)
    for line in lines:
        by_formats[line.case.split("/", 2)[1]].append(line)
    schemes: dict[str, list[Measurement]] = defaultdict(list)
    for own in by_formats.values():
        schemes[own[0].parsed_case.scheme] += own
    return TimingTable(_ByFormat(dict(schemes)))


class _ByFormat(Mapping[str, dict[Shape, list[KernelTime]]]):
    """The points of each format, from its lines when they are first asked for: an import has many formats."""

    def __init__(self, lines: Mapping[str, list[Measurement]]) -> None:
        self._lines = lines
        self._made: dict[str, dict[Shape, list[KernelTime]]] = {}

    def __getitem__(self, scheme: str) -> dict[Shape, list[KernelTime]]:
        if scheme not in self._made:
            with collector_paused():
                self._made[scheme] = _shapes(self._lines[scheme])
        return self._made[scheme]

    def __contains__(self, scheme: object) -> bool:
        return scheme in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def _shapes(lines: Iterable[Measurement]) -> dict[Shape, list[KernelTime]]:
    """The fastest kernel of every shape and batch of one format, by rising batch."""
    fastest: dict[Shape, dict[int, KernelTime]] = defaultdict(dict)
    for (_, _, kernel), own in grouped(lines).items():
        case, timed = own[0].parsed_case, _timed(kernel, own)
        by_m = fastest[case.n, case.k]
        if case.m not in by_m or timed.seconds < by_m[case.m].seconds:
            by_m[case.m] = timed
    return {shape: [by_m[m] for m in sorted(by_m)] for shape, by_m in fastest.items()}


def _timed(kernel: str, lines: list[Measurement]) -> KernelTime:
    """One kernel's time of one case from the lines of all processes, and the median of their power."""
    time = case_time(lines)
    assert time is not None, "lines without a timing are left out before"
    seconds, low, high = (ns / 1e9 for ns in (time.interval.median, time.interval.low, time.interval.high))
    powers = [line.state.power_w for line in lines if line.state and line.state.power_w is not None]
    power = median(powers) if powers else None
    return KernelTime(lines[0].parsed_case.m, seconds, low, high, kernel, power)
