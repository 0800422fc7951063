"""Bad GPUs over the sweeps, as SVG: one chart per GPU, one line per class, beside the latest siblings."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantroof.analysis.verdicts import State
from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.fleet.scores import CLASSES
from quantroof.fleet.sweeps import Sweep
from quantroof.reports.text.fleet_words import speed

TRENDS = 24
"""How many GPUs are drawn."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 380, 150, 44, 16, 12, 24
_LEAST, _MOST = (-0.10, 0.02), (-0.50, 0.20)
"""Changes of speed that are always in sight, and those beyond which a line runs along the edge."""
_STEP, _TICKS = 0.05, 5
"""The least distance of ticks, and about how many there are."""


@dataclass(frozen=True, slots=True)
class Line:
    """One class: the points of its polyline, the place of its last value, and its name with that value."""

    name: str
    points: str
    last: tuple[float, float]
    words: str


@dataclass(frozen=True, slots=True)
class Trend:
    """One GPU over its sweeps."""

    label: str
    state: State
    lines: list[Line]
    ticks: list[tuple[float, str]]
    first: str
    last: str
    sweeps: int


def trends(analysis: Analysis) -> list[Trend]:
    """The bad GPUs with more than one sweep, the worst first."""
    return [_trend(gpu) for gpu in analysis.bad if len(gpu.sweeps) > 1]


def _trend(gpu: GpuResult) -> Trend:
    changes = {name: _changes(gpu.sweeps, name) for name in CLASSES}
    seen = [value for values in changes.values() for _, value in values]
    low, high = min([*seen, _LEAST[0]]), max([*seen, _LEAST[1]])
    last = max(1, len(gpu.sweeps) - 1)

    def place(number: int, change: float) -> tuple[float, float]:
        across = (WIDTH - LEFT - RIGHT) * number / last
        down = (HEIGHT - TOP - BOTTOM) * (high - change) / (high - low)
        return round(LEFT + across, 1), round(TOP + down, 1)

    lines = []
    for name, values in changes.items():
        places = [place(*value) for value in values]
        if places:
            points = " ".join(f"{x},{y}" for x, y in places)
            lines.append(Line(name, points, places[-1], f"{name} {speed(gpu.sweeps[-1].level[name])}"))
    step = _STEP * math.ceil((high - low) / (_STEP * _TICKS))
    ticks = [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
    marks = [(place(0, tick)[1], f"{tick * 100:+.0f} %" if tick else "0") for tick in ticks]
    ends = (gpu.sweeps[0].started_at[:10], gpu.sweeps[-1].started_at[:10])
    return Trend(gpu.unit.label, gpu.state, lines, marks, *ends, len(gpu.sweeps))


def _changes(sweeps: tuple[Sweep, ...], name: str) -> list[tuple[int, float]]:
    """(number of the sweep, change of speed) where the class was measured."""
    levels = [(number, sweep.level[name]) for number, sweep in enumerate(sweeps)]
    return [
        (number, min(_MOST[1], max(_MOST[0], math.expm1(-level))))
        for number, level in levels
        if level is not None
    ]
