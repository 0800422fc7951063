"""A user's own functions beside others: mine, the best other one and the roof, as a table and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quantroof import units
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point
from quantroof.analysis.race import Race, races
from quantroof.reports.text.table import plain


def race_lines(results: Sequence[DeviceResults]) -> list[str]:
    """One table per device, with a sentence per case."""
    lines = []
    for one in results:
        own = races(one)
        if own:
            lines += ["", f"{one.label}  {one.device.name}", *_table(own)]
            lines += [f"unknown: {race.reason}" for race in own if race.outcome == "unknown"][:1]
    return lines


def race_document(results: Sequence[DeviceResults]) -> list[dict[str, Any]]:
    """The same as data; absent values are None."""
    return [_entry(race) for one in results for race in races(one)]


def verdict_words(race: Race) -> str:
    """`1.04x faster, 78 % of the roof`, or the reason for a missing figure."""
    if race.outcome == "unmeasured":
        return f"{race.mine.status}: {race.reason}"
    ratio = "" if race.ratio is None else f"{race.ratio:.2f}x "
    words = {"faster": f"{ratio}faster", "slower": f"{ratio}slower", "tie": "a tie", "unknown": "unknown"}
    parts = [words[race.outcome]] if race.outcome in words else []
    share = race.mine.roof_fraction if race.mine.roof_fraction is not None else race.mine.datasheet_fraction
    parts += [f"{units.percent(share)} of the roof"] if share is not None else []
    return ", ".join(parts) or "timed"


def _table(own: Sequence[Race]) -> list[str]:
    headings = ("function", "sizes", "mine", "best other", "", "at best", "verdict")
    rows = []
    for race in own:
        other = race.other
        rows.append(
            (
                race.mine.measurement.kernel,
                race.mine.case.sizes,
                _time(race.mine),
                units.NONE if other is None else _time(other),
                "" if other is None else other.measurement.kernel,
                units.time(_roof_ns(race.mine)),
                verdict_words(race),
            )
        )
    return plain(headings, rows, right=("mine", "best other", "at best"))


def _entry(race: Race) -> dict[str, Any]:
    mine, other = race.mine, race.other
    return {
        "device": race.device,
        "case": mine.measurement.case,
        "kernel": mine.measurement.kernel,
        "status": mine.status,
        "median_ns": mine.time and mine.time.median,
        "other": other and other.measurement.kernel,
        "other_median_ns": other and other.time and other.time.median,
        "outcome": race.outcome,
        "ratio": race.ratio,
        "roof_ns": _roof_ns(mine),
        "roof_fraction": mine.roof_fraction,
        "reason": race.reason,
    }


def _roof_ns(point: Point) -> float | None:
    roofs = point.roofs
    return roofs.roof_ns if roofs.roof_ns is not None else roofs.datasheet_ns


def _time(point: Point) -> str:
    return units.NONE if point.time is None else units.time(point.time.median)
