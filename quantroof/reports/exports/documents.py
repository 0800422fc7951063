"""What the JSON documents of other tools share: the name of a measurement, and how they are written."""

from __future__ import annotations

import json
from pathlib import Path

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point


def benchmark_name(results: DeviceResults, point: Point) -> str:
    """Device, kernel and case: one name per time, the same in every run."""
    return f"{results.label}/{point.measurement.kernel}/{point.measurement.case}"


def write_document(document: object, target: Path) -> None:
    """Write JSON that every reader takes: no NaN, a newline at the end."""
    target.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
