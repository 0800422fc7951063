"""Trends as one HTML page without a script: small multiples per format and bound, changed ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.gate.history import Trend
from quantroof.gate.steps import Step
from quantroof.records.lines import parsed_case
from quantroof.reports.html import palette
from quantroof.reports.html.bundle import asset
from quantroof.reports.html.page import template
from quantroof.units import change

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 380, 150, 44, 16, 22
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_BOUNDS = {"copy": "memory-bound", "gemm": "compute-bound", "both": "between the roofs"}
_LEAST_SPAN = 0.05


@dataclass(frozen=True, slots=True)
class Mark:
    """A run at which levels moved: pixels from the left, how many cases, and the change in words."""

    x: float
    words: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The cases of one format and bound on one device, as SVG paths over the runs, which are at `runs`."""

    title: str
    family: str
    cases: int
    paths: list[tuple[str, str]]
    ticks: list[tuple[float, str]]
    runs: list[float]
    first: str
    last: str
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class Device:
    """One device with its steps, the panels in which a level moved, and the others."""

    name: str
    steps: list[str]
    moved: list[Panel]
    steady: list[Panel]


def trend_page(trends: Sequence[Trend], steps: Sequence[Step]) -> str:
    """The page; text from run files is escaped by the template."""
    names = dict.fromkeys(trend.device for trend in trends)
    several = dict.fromkeys(trend.device for trend in trends if trend.runs[1:])
    devices = [_device(name, trends, steps) for name in several]
    values = {
        "devices": sorted(devices, key=lambda device: not device.moved),
        "single": [name for name in names if name not in several],
        "identity": _identity(trends),
        "simulated": any(name.startswith("SIMULATED") for name in names),
        "anchored": any(trend.anchored for trend in trends),
        "style": palette.variables() + asset("style.css", "report.css", "trends.css"),
        "policy": _POLICY,
    }
    sizes = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "top": TOP, "bottom": BOTTOM}
    return str(template("trends.html").render(**values, **sizes))


def _identity(trends: Sequence[Trend]) -> str:
    """How many runs and cases the page is about, and the first and last of their dates."""
    dates = sorted(date for trend in trends for date in trend.started_at)
    runs = len({run for trend in trends for run in trend.runs})
    parts = [f"{runs} run{'' if runs == 1 else 's'}", f"{len({trend.key for trend in trends})} cases"]
    if dates:
        parts.append(" to ".join(dict.fromkeys([_minute(dates[0]), _minute(dates[-1])])))
    return " \N{MIDDLE DOT} ".join(parts)


def _minute(instant: str) -> str:
    """`2026-11-29 12:09`, in UTC as the trends' dates are."""
    return instant[:16].replace("T", " ")


def _device(name: str, trends: Sequence[Trend], steps: Sequence[Step]) -> Device:
    groups: dict[tuple[str, str], list[Trend]] = {}
    for trend in trends:
        if trend.device == name:
            scheme = parsed_case(trend.key[0]).scheme
            groups.setdefault((scheme, trend.follows), []).append(trend)
    ordered = sorted(groups.items(), key=lambda item: (-sum(bool(t.changes) for t in item[1]), item[0]))
    panels = [_panel(f"{scheme}, {_BOUNDS[bound]}", scheme, own) for (scheme, bound), own in ordered]
    words = [step.words.removeprefix(f"{name}, ") for step in steps if step.device == name]
    return Device(name, words, [p for p in panels if p.marks], [p for p in panels if not p.marks])


def _panel(title: str, scheme: str, trends: list[Trend]) -> Panel:
    values = [float(value) for trend in trends for value in trend.relative]
    low, high = min(*values, 1 - _LEAST_SPAN), max(*values, 1 + _LEAST_SPAN)
    dates = sorted({date for trend in trends for date in trend.started_at})
    place = {date: LEFT + i / max(1, len(dates) - 1) * (WIDTH - LEFT - 10) for i, date in enumerate(dates)}

    def down(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    paths = []
    for trend in trends:
        points = zip(trend.started_at, trend.relative, strict=True)
        line = "M" + " L".join(f"{place[date]:.1f} {down(float(value))}" for date, value in points)
        paths.append((line, f"{trend.label}: {change(float(trend.relative[-1]))}"))
    moved: dict[str, list[float]] = {}
    for trend in trends:
        for point in trend.changes:
            moved.setdefault(trend.started_at[point.index], []).append(point.change)
    marks = [Mark(round(place[date], 1), _moved(date, sizes)) for date, sizes in sorted(moved.items())]
    ticks = [(down(value), change(value)) for value in (low, 1.0, high)]
    family = palette.family(scheme)
    runs = [round(x, 1) for x in place.values()]
    return Panel(title, family, len(trends), paths, ticks, runs, _minute(dates[0]), _minute(dates[-1]), marks)


def _moved(date: str, sizes: list[float]) -> str:
    middle = sorted(sizes)[len(sizes) // 2]
    return f"{_minute(date)}: {len(sizes)} case{'' if len(sizes) == 1 else 's'} {change(1 + middle)}"
