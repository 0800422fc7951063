"""The JSON of Google Benchmark, for its compare.py: every sample is one repetition, in nanoseconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantroof.analysis.device_results import Subject
from quantroof.records.lines import Measurement


def document(subjects: list[Subject]) -> dict[str, Any]:
    """Context and one entry a repetition, which is what compare.py's U test reads."""
    first = subjects[0].run.info if subjects else None
    context = {
        "date": first.started_at if first else "",
        "host_name": str(first.host.get("node")) if first else "",
        "executable": " ".join(first.command) if first else "",
        "num_cpus": next((s.device.cpu.usable_cores for s in subjects if s.device.cpu), 0),
        "mhz_per_cpu": 0,
        "cpu_scaling_enabled": False,
        "library_build_type": "release",
        "devices": ", ".join(subject.device.name for subject in subjects),
        "simulated": str(bool(first and first.simulated)).lower(),
    }
    entries = [
        entry
        for family, (subject, point) in enumerate((s, p) for s in subjects for p in s.timed)
        for entry in _repetitions(
            f"{subject.label}/{point.measurement.kernel}/{point.measurement.case}", family, point.measurement
        )
    ]
    return {"context": context, "benchmarks": entries}


def write(subjects: list[Subject], target: Path) -> None:
    """Write the document."""
    target.write_text(json.dumps(document(subjects), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _repetitions(name: str, family: int, m: Measurement) -> Iterator[dict[str, Any]]:
    assert m.timing is not None
    samples = m.timing.samples_ns
    for index, sample in enumerate(samples):
        yield {
            "name": name,
            "run_name": name,
            "family_index": family,
            "per_family_instance_index": 0,
            "run_type": "iteration",
            "repetitions": len(samples),
            "repetition_index": index,
            "threads": 1,
            "iterations": m.timing.calls_per_sample,
            "real_time": sample,
            "cpu_time": sample,
            "time_unit": "ns",
            "bytes_per_second": m.bytes_moved / sample * 1e9,
            "items_per_second": m.flops / sample * 1e9,
        }
