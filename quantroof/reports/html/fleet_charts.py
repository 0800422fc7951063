"""Histograms of class scores with the floor, as SVG; its size does not depend on the number of GPUs."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from quantroof.analysis.verdicts import State
from quantroof.fleet.analysis import Analysis, GpuResult, PopulationSummary
from quantroof.fleet.conclusions import below_floor
from quantroof.fleet.scores import CLASSES
from quantroof.units import change, percent


@dataclass(frozen=True, slots=True)
class ChartSize:
    """Pixels of a chart and of its margins; as wide as a telephone, so that no text is scaled down much."""

    width: int = 380
    height: int = 190
    left: int = 34
    right: int = 12
    top: int = 18
    bottom: int = 52


CHART_SIZE = ChartSize()
_BINS = 48
_WORST, _BEST = -0.30, 0.15  # changes of speed beyond these are drawn at the edge
_MARKS = 300
_LEAST_PX = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: pixels from the top left, how many GPUs, and its range in words."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One bad GPU below the axis."""

    x: float
    state: State
    words: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """One class of one population; positions in pixels, text ready to be shown."""

    name: str
    bars: list[Bar]
    marks: list[Mark]
    ticks: list[tuple[float, str]]
    floor_x: float
    highest: int
    caption: str
    unmarked: int


@dataclass(frozen=True, slots=True)
class Charts:
    """All histograms of a population."""

    title: str
    histograms: list[Histogram]
    remarks: tuple[str, ...]


def histograms(summary: PopulationSummary, analysis: Analysis) -> Charts:
    """One histogram per class that was measured."""
    gpus = [gpu for gpu in analysis.gpus if gpu.population == summary.population]
    drawn = [_histogram(name, gpus, summary) for name in CLASSES]
    title = f"{summary.population}: {summary.gpus} GPUs, {summary.works} cases"
    return Charts(title, [chart for chart in drawn if chart is not None], summary.remarks)


def _histogram(name: str, gpus: list[GpuResult], summary: PopulationSummary) -> Histogram | None:
    floor = summary.floor[name]
    judged = [(gpu, math.expm1(-level)) for gpu in gpus if (level := gpu.level[name]) is not None]
    if not judged:
        return None
    changes = [max(_WORST, min(_BEST, change)) for _, change in judged]
    low, high = min(*changes, floor - 1 - 0.02), max(*changes, 0.04)
    step = (high - low) / _BINS
    counts = Counter(min(_BINS - 1, int((change - low) / step)) for change in changes)
    scale = _Scale(low, high, max(counts.values()))
    bars = [_bar(scale, count, low + number * step, step) for number, count in sorted(counts.items())]
    bad = [(gpu, change) for (gpu, _), change in zip(judged, changes, strict=True) if gpu.bad]
    marks = [
        Mark(scale.x(c), g.state, f"{g.unit.label}: {g.state}, {change(1 + c)}") for g, c in bad[:_MARKS]
    ]
    expected, spread = percent(summary.expected_below[name], 2), percent(summary.spread[name], 1)
    caption = (
        f"{name}: {below_floor(gpus, name, floor)} of {len(judged)} below the floor of {percent(floor, 1)}; "
        f"of healthy GPUs {expected} would be by chance (spread {spread})"
    )
    return Histogram(
        name, bars, marks, scale.ticks(), scale.x(floor - 1), max(counts.values()), caption,
        max(0, len(bad) - _MARKS),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scale:
    """From changes of speed and counts to pixels."""

    low: float
    high: float
    most: int

    def x(self, change: float) -> float:
        share = (change - self.low) / (self.high - self.low)
        return round(CHART_SIZE.left + share * (CHART_SIZE.width - CHART_SIZE.left - CHART_SIZE.right), 1)

    def height(self, count: int) -> float:
        """Never invisible: one slow GPU among ten thousand is what the reader looks for."""
        room = CHART_SIZE.height - CHART_SIZE.top - CHART_SIZE.bottom
        return round(max(_LEAST_PX, count / self.most * room), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Every 5 %, or every 10 % where that is too many."""
        step = 5 if self.high - self.low < 0.3 else 10
        first, last = math.ceil(self.low * 100 / step), math.floor(self.high * 100 / step)
        return [(self.x(n * step / 100), f"{n * step:+d} %" if n else "0") for n in range(first, last + 1)]


def _bar(scale: _Scale, count: int, start: float, step: float) -> Bar:
    height = scale.height(count)
    left, right = scale.x(start), scale.x(start + step)
    words = f"{count} GPU{'' if count == 1 else 's'} at {start:+.1%} to {start + step:+.1%}"
    return Bar(
        left, CHART_SIZE.height - CHART_SIZE.bottom - height, max(1.0, right - left - 0.6), height, words
    )
