"""The data of a page as compact columns: dictionaries for what repeats, six significant digits for times."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from quantroof.analysis.answers import Answers
from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.comparison import CaseChange
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.layer_sums import layer_sums
from quantroof.analysis.points import Point
from quantroof.analysis.verdicts import CHANGES
from quantroof.analysis.winner import Winner, can_win
from quantroof.hwprofiles.clock_events import words
from quantroof.kernels.case import LAYER_OPERATIONS
from quantroof.kernels.schemes import SCHEMES, catalog_order
from quantroof.records.run import RunOptions
from quantroof.reports.html import palette
from quantroof.reports.html.distributions import distributions, shape

TIME_DIGITS = 6
"""Significant digits of times in a page; `quantroof export` writes them all."""
SHAPES = 6000
"""Points of a page up to which each has the shape of its samples; more would make the file too large."""
OTHER, BEST, TIE, WINNER = range(4)
"""Rank of a point: not the best of its scheme at its layer and M, the best, one of those that tie, winner."""


def page_data(answers: Answers, first: int = 0) -> dict[str, Any]:
    """Everything the page draws, JSON-ready.

    A point that only the baseline has carries the subject -1. `first` is the device that the page opens with.
    """
    devices, choices, comparison = answers.devices, answers.choices, answers.comparison
    points = [(s, p) for s, results in enumerate(devices) for p in results.points]
    entries = comparison.entries if comparison is not None and not comparison.blocked else ()
    points += [(-1, e.base) for e in entries if e.now is None and e.base is not None]
    tables = _Tables([p for _, p in points])
    values = tables.columns(
        _ranks(choices), {id(e.now or e.base): e for e in entries}, distributions(answers)
    )
    return {
        "first": first,
        "subjects": [
            {**_device(results, own), "sums": _sums(own, tables.schemes)}
            for results, own in zip(devices, choices, strict=True)
        ],
        "verdicts": CHANGES,
        "points": {"subject": [s for s, _ in points], **values},
        **tables.dictionaries(),
    }


def _device(results: DeviceResults, choices: list[LayerChoice]) -> dict[str, Any]:
    info = results.run.info
    return {
        "label": results.label,
        "name": results.device.name,
        "device": results.device.id,
        "run": info.run_id,
        "repeat": _repeat(info.options),
        "command": list(info.command),
        "simulated": info.simulated,
        "layers": [{"n": c.n, "k": c.k, "sentence": c.sentence()} for c in choices],
    }


def _repeat(options: RunOptions) -> list[str]:
    """The options of `quantroof run` that repeat the measurement of a case."""
    words = ["--cache", options.cache] if options.cache != "cold" else []
    words += ["--mode", options.mode] if options.mode != "burst" else []
    words += ["--eager"] if options.eager else []
    return words + [word for kernel in options.kernels for word in ("--kernel", kernel)]


def _sums(choices: list[LayerChoice], schemes: list[str]) -> list[list[Any]]:
    """Rows of all layers together, by M and scheme: SUM in marks.js names the values."""
    rows = []
    for batch in layer_sums(choices):
        for name, one in batch.sums.items():
            rank = _rank(name, batch.winner)
            times = [_rounded(value, TIME_DIGITS) for value in (one.time.median, one.time.low, one.time.high)]
            speed = None if one.speed_up is None else _rounded(one.speed_up.median, 4)
            roof = _rounded(one.roof_ns, 5)
            rows.append(
                [
                    schemes.index(name),
                    batch.m,
                    *times,
                    one.flops,
                    one.bytes_moved,
                    roof,
                    one.bound,
                    rank,
                    speed,
                ]
            )
    return rows


def _rank(scheme: str, winner: Winner) -> int:
    return WINNER if scheme == winner.alone else TIE if scheme in winner.leaders else BEST


def _ranks(choices: list[list[LayerChoice]]) -> dict[int, int]:
    """Rank by identity of the point."""
    ranks: dict[int, int] = {}
    for batch in (batch for own in choices for layer in own for batch in layer.batches):
        for scheme, point in batch.best.items():
            ranks[id(point)] = _rank(scheme, batch.winner)
    return ranks


class _Dictionary:
    """Distinct values in order of appearance, addressed by index."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._index: dict[Hashable, int] = {}

    def add(self, key: Hashable, value: Any = None) -> int:
        if key not in self._index:
            self._index[key] = len(self.values)
            self.values.append(key if value is None else value)
        return self._index[key]


class _Tables:
    """Columns of points, and the dictionaries that their indices point into."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.schemes = catalog_order({p.scheme for p in points})
        self.providers = sorted({p.measurement.provider for p in points})
        self.cases, self.kernels, self.texts, self.configs = (_Dictionary() for _ in range(4))
        self._scheme = {name: i for i, name in enumerate(self.schemes)}
        self._provider = {name: i for i, name in enumerate(self.providers)}

    def columns(
        self, ranks: dict[int, int], entries: dict[int, CaseChange], samples: dict[int, list[Any]]
    ) -> dict[str, list[Any] | None]:
        """All columns; one in which nothing is known is None."""
        by_name: dict[str, Callable[[Point], Any]] = {
            **_PLAIN,
            "case": self._case,
            "kernel": self._kernel,
            "flags": lambda p: [self.texts.add((f.code, f.text)) for f in p.flags] or None,
            "reason": lambda p: self.texts.add(("", p.measurement.reason)) if p.measurement.reason else None,
            "config": self._config,
            "rank": lambda p: ranks.get(id(p), OTHER),
        }
        if len(self.points) <= SHAPES:
            by_name["shape"] = lambda p: shape(t.samples_ns) if (t := p.measurement.timing) else None
        table: dict[str, list[Any]] = {name: [of(p) for p in self.points] for name, of in by_name.items()}
        if entries:
            changes = [entries.get(id(p)) for p in self.points]
            table |= {name: [of(e) if e else None for e in changes] for name, of in _COMPARED.items()}
            table["samples_of"] = [samples.get(id(e)) if e else None for e in changes]
            table["causes"] = [
                [self.texts.add(("", text)) for text in e.causes] if e and e.causes else None for e in changes
            ]
        return {name: None if all(v is None for v in column) else column for name, column in table.items()}

    def dictionaries(self) -> dict[str, Any]:
        """What the indices in the columns mean."""
        computes = {p.scheme: p.case.compute.name for p in self.points}
        arithmetic = {p.scheme: p.roofs.arithmetic for p in self.points if p.roofs.arithmetic}
        fields = ("id", "scheme", "m", "n", "k", "flops", "bytes", "words")
        states = [p.measurement.state for p in self.points]
        masks = sorted({state.reasons for state in states if state and state.reasons})
        return {
            "schemes": [
                {
                    "name": name,
                    "family": palette.family(name),
                    "color": palette.color(name),
                    "dash": palette.dash(name),
                    "hollow": palette.hollow(name),
                    "summary": SCHEMES[name].summary if name in SCHEMES else "",
                    "competes": can_win(name),
                    "compute": computes[name],
                    "arithmetic": arithmetic.get(name),
                }
                for name in self.schemes
            ],
            "providers": [{"name": name} for name in self.providers],
            "cases": {name: [row[i] for row in self.cases.values] for i, name in enumerate(fields)},
            "kernels": self.kernels.values,
            "texts": self.texts.values,
            "configs": self.configs.values,
            "events": {str(mask): words(mask) for mask in masks},
        }

    def _case(self, p: Point) -> int:
        m, case = p.measurement, p.case
        words = None if case.operation in LAYER_OPERATIONS else case.words
        row = (m.case, self._scheme[p.scheme], case.m, case.n, case.k, m.flops, m.bytes_moved, words)
        return self.cases.add(row)

    def _kernel(self, p: Point) -> int:
        return self.kernels.add((p.measurement.kernel, self._provider[p.measurement.provider]))

    def _config(self, p: Point) -> int | None:
        own = p.measurement.config
        return self.configs.add(tuple(sorted(own.items())), own) if own else None


def _rounded(value: float | None, digits: int) -> float | int | None:
    """Rounded to significant digits; whole numbers without a decimal point, which saves two characters."""
    if value is None:
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() else short


_PLAIN: dict[str, Callable[[Point], Any]] = {
    "status": lambda p: p.status,
    "bound": lambda p: p.roofs.bound,
    "arithmetic": lambda p: p.roofs.arithmetic,
    "median": lambda p: _rounded(p.time.median, TIME_DIGITS) if p.time else None,
    "low": lambda p: _rounded(p.time.low, TIME_DIGITS) if p.time else None,
    "high": lambda p: _rounded(p.time.high, TIME_DIGITS) if p.time else None,
    "basis": lambda p: p.basis,
    "samples": lambda p: p.time.samples if p.time else None,
    "roof": lambda p: _rounded(p.roofs.roof_ns, 5),
    "sheet": lambda p: _rounded(p.roofs.datasheet_ns, 5),
    "sized": lambda p: _rounded(p.roofs.sized_roof_ns, 5),
    "error": lambda p: _rounded(p.measurement.accuracy.frobenius, 3) if p.measurement.accuracy else None,
    "loss": lambda p: (
        _rounded(p.measurement.accuracy.format_frobenius, 3) if p.measurement.accuracy else None
    ),
    "clock": lambda p: _rounded(p.measurement.state.sm_clock_mhz, 5) if p.measurement.state else None,
    "temperature": lambda p: _rounded(p.measurement.state.temperature_c, 3) if p.measurement.state else None,
    "power": lambda p: _rounded(p.measurement.state.power_w, 4) if p.measurement.state else None,
    "events": lambda p: p.measurement.state.reasons if p.measurement.state else None,
}
_COMPARED: dict[str, Callable[[CaseChange], Any]] = {
    "verdict": lambda e: CHANGES.index(e.verdict),
    "base": lambda e: _rounded(e.base.time.median, TIME_DIGITS) if e.base and e.base.time else None,
    "ratio": lambda e: _rounded(e.ratio.median, 5) if e.ratio else None,
    "ratio_low": lambda e: _rounded(e.ratio.low, 5) if e.ratio else None,
    "ratio_high": lambda e: _rounded(e.ratio.high, 5) if e.ratio else None,
}
