"""JSON: every measurement with its raw samples and what the report derives from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from quantroof.analysis.device_results import Subject
from quantroof.analysis.points import row

SCHEMA_VERSION = 1


def document(subjects: list[Subject]) -> dict[str, Any]:
    """Runs with their headers, then one object a measurement: the record itself and its derived row."""
    runs = {id(subject.run): subject.run for subject in subjects}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "quantroof-export",
        "runs": [msgspec.to_builtins(run.info) for run in runs.values()],
        "ceilings": [msgspec.to_builtins(ceiling) for run in runs.values() for ceiling in run.ceilings],
        "measurements": [
            {"record": msgspec.to_builtins(point.measurement), "derived": row(point, subject.run.info.run_id)}
            for subject in subjects
            for point in subject.points
        ],
    }


def write(subjects: list[Subject], target: Path) -> None:
    """Write the document; its floats are finite, so it is plain JSON."""
    target.write_text(json.dumps(document(subjects), indent=1, allow_nan=False) + "\n", encoding="utf-8")
