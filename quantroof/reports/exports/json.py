"""JSON: every measurement with its raw samples and what the report derives from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import row
from quantroof.reports.exports.documents import write_document

SCHEMA_VERSION = 1


def document(devices: list[DeviceResults]) -> dict[str, Any]:
    """Runs with their headers and trust, then one object per measurement: the record and its derived row."""
    runs = {id(results.run): results.run for results in devices}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "quantroof-export",
        "runs": [msgspec.to_builtins(run.info) for run in runs.values()],
        "trust": {
            results.label: {"usable": results.trust.usable, "words": results.trust.words}
            for results in devices
        },
        "ceilings": [msgspec.to_builtins(ceiling) for run in runs.values() for ceiling in run.ceilings],
        "measurements": [
            {"record": msgspec.to_builtins(point.measurement), "derived": row(point, results.run.info.run_id)}
            for results in devices
            for point in results.points
        ],
    }


def write(devices: list[DeviceResults], target: Path) -> None:
    """Write the document; its floats are finite, so it is plain JSON."""
    write_document(document(devices), target)
