"""How every case developed over many runs, as a table and as data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quantroof.reports.text.table import plain
from quantroof.units import change, time

if TYPE_CHECKING:
    from quantroof.gate.history import Trend
    from quantroof.gate.steps import Step

_HEADINGS = ("runs", "first", "last", "change", "case")


MOST = 40
"""Rows of a table that a person reads."""


def trend_lines(trends: Sequence[Trend], most: int | None = None) -> list[str]:
    """One row per case, what changed most first, with the runs where its level moved.

    Cases with a change point come first. A case has its suite where two suites have it. Beyond `most` rows
    the rest is counted.
    """
    rows, labels = [], Counter(trend.label for trend in trends)
    ordered = sorted(trends, key=lambda trend: (not trend.changes, -abs(math.log(trend.relative[-1]))))
    for trend in ordered[:most]:
        moved = "; ".join(f"{change(1 + p.change)} from {trend.runs[p.index]}" for p in trend.changes)
        suite = f" of suite {trend.suite}" if labels[trend.label] > 1 else ""
        rows.append((
            str(len(trend.runs)),
            time(float(trend.ns[0]), 4),
            time(float(trend.ns[-1]), 4),
            change(float(trend.relative[-1])),
            f"{trend.label}{suite}{f': {moved}' if moved else ''}",
        ))  # fmt: skip
    left = len(trends) - len(rows)
    more = [f"{left} more: --all shows them"] if left else []
    return [*plain(_HEADINGS, rows, right=_HEADINGS[:4]), *more]


def step_document(step: Step) -> dict[str, Any]:
    """A run at which levels moved, as data."""
    return {
        "device": step.device,
        "before": step.before,
        "run": step.run,
        "started_at": step.started_at,
        "git": step.git,
        "cases": step.cases,
        "summary": step.sentence,
    }


def trend_document(trend: Trend) -> dict[str, Any]:
    """One case as data."""
    return {
        "device": trend.device,
        "suite": trend.suite,
        "mode": trend.mode,
        "case": trend.key[0],
        "kernel": trend.key[1],
        "anchored": trend.anchored,
        "runs": list(trend.runs),
        "git": list(trend.git),
        "ns": trend.ns.tolist(),
        "relative": trend.relative.tolist(),
        "changes": [
            {"run": trend.runs[point.index], "change": point.change, "p": point.p} for point in trend.changes
        ],
    }
