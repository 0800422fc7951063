"""The JSON of Google Benchmark, for its compare.py: every sample is one repetition, in nanoseconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantroof.analysis.device_results import DeviceResults
from quantroof.records.lines import Measurement


def document(devices: list[DeviceResults]) -> dict[str, Any]:
    """Context and one entry per repetition, which is what compare.py's U test reads."""
    first = devices[0].run.info if devices else None
    context = {
        "date": first.started_at if first else "",
        "host_name": (first.host.name or "") if first else "",
        "executable": " ".join(first.command) if first else "",
        "num_cpus": next((s.device.cpu.usable_cores for s in devices if s.device.cpu), 0),
        "mhz_per_cpu": 0,
        "cpu_scaling_enabled": False,
        "library_build_type": "release",
        "devices": ", ".join(results.device.name for results in devices),
        "simulated": str(bool(first and first.simulated)).lower(),
    }
    entries = [
        entry
        for family, (results, point) in enumerate((s, p) for s in devices for p in s.timed)
        for entry in _repetitions(
            f"{results.label}/{point.measurement.kernel}/{point.measurement.case}", family, point.measurement
        )
    ]
    return {"context": context, "benchmarks": entries}


def write(devices: list[DeviceResults], target: Path) -> None:
    """Write the document."""
    target.write_text(json.dumps(document(devices), indent=1, allow_nan=False) + "\n", encoding="utf-8")


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
